"""What a library's skills are known to do, as Markdown."""

from collections.abc import Sequence

from grindstone.ledger.tables.library import WarrantRow
from grindstone.report.words import attempt_cost, points, table
from grindstone.text import count

ORDER = ("helps", "unknown", "harmless", "never loaded", "harms")
REHEARSED = "> This was a rehearsal: a local program stood in for the model."


def warrants_markdown(
    rows: Sequence[WarrantRow],
    *,
    retired: Sequence[str] = (),
    doubts: Sequence[tuple[str, str]] = (),
    rehearsal: bool = False,
) -> str:
    """Return warrants as a page: a headline, a line per skill, what is still in doubt.

    Args:
        rows: Warrants that hold, of retired skills too.
        retired: Names of the skills that left the library.
        doubts: Skills without a warrant, and why.
        rehearsal: Whether a local program stood in for the model.
    """
    states = [row.state for row in rows]
    told = ", ".join(f"{states.count(name)} {name}" for name in ORDER if name in states)
    title = f"# {count(len(rows), 'skill')} with a warrant" + (f": {told}" if told else "")
    if retired:
        title += f"; retired: {', '.join(retired)}"
    parts = [title, REHEARSED if rehearsal else ""]
    if rows:
        lines = [
            [
                row.skill,
                row.state + (" (retired)" if row.skill in retired else ""),
                _lift(row),
                f"{row.n_tasks} × {row.trials}",  # noqa: RUF001
                _uses(row),
                row.model,
                f"{row.at:%Y-%m-%d}",
                f"{count(row.attempts, 'attempt')}, {_cost(row, rehearsal)}",
            ]
            for row in sorted(rows, key=lambda row: (ORDER.index(row.state), row.skill))
        ]
        head = ("skill", "state", "lift", "tasks", "offered / loaded / followed", "model")
        parts.append(table((*head, "since (UTC)", "cost"), lines))
    if doubts:
        parts.append("In doubt still: " + ", ".join(f"{n} ({w})" for n, w in doubts))
    return "\n\n".join(filter(None, parts)) + "\n"


def _cost(row: WarrantRow, rehearsal: bool) -> str:
    return attempt_cost(row.cost_usd, row.attempts, rehearsal=rehearsal)


def _uses(row: WarrantRow) -> str:
    tasks = count(row.offered_tasks, "task")
    return f"{row.offered} in {tasks} / {row.loaded} / {row.followed}"


def _lift(row: WarrantRow) -> str:
    if row.lift is None:
        return "-"
    span = f"{points(row.interval_low)} to {points(row.interval_high)}"
    return f"{points(row.lift)} points ({span})"
