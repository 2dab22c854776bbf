"""`grindstone episodes`: the attempts of this home, and one of them step by step."""

from pathlib import Path
from typing import Annotated

import typer

from grindstone.errors import InputError
from grindstone.flows.cli.home import WorkDir
from grindstone.flows.cli.output import JsonFlag, emit
from grindstone.flows.cli.report import known_run
from grindstone.ledger import Ledger
from grindstone.records import Episode


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("episodes")(episodes)


def episodes(
    episode_id: Annotated[
        str | None, typer.Argument(help="Show this one; the first characters are enough.")
    ] = None,
    work_dir: WorkDir = Path("evolution_workdir"),
    run_key: Annotated[str | None, typer.Option(help="Only of this run.")] = None,
    agent_id: Annotated[str | None, typer.Option(help="Only of this agent.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many, the latest; 0: all.", min=0)] = 50,
    as_json: JsonFlag = False,
) -> None:
    """List attempts, the latest last, or show one with everything the agent did."""
    ledger = Ledger(work_dir.absolute())
    rows = [
        row
        for row in sorted(ledger.rows(Episode, run_key), key=lambda row: row.started_at)
        if agent_id is None or row.agent_id == agent_id
    ]
    if run_key is not None and not rows:
        known_run(ledger, run_key)
    if episode_id is not None:
        _show(ledger, [row for row in rows if row.episode_id.startswith(episode_id)], as_json)
        return
    latest = rows[-limit:]  # with a limit of 0, all of them
    text = "\n".join(_line(row) for row in latest) or "No attempts yet."
    emit([row.model_dump(mode="json") for row in latest], as_json=as_json, text=text)


def _line(row: Episode) -> str:
    mark = {"passed": "✓", "failed": "✗", "error": "⚠"}[row.outcome.value]
    reward = "" if row.reward is None else f"reward {row.reward:.2f}"
    place = [row.arm, f"cycle {row.cycle}" if row.cycle else ""]
    place.append(f"trial {row.trial}" if row.trial else "")
    return (
        f"{row.episode_id[:12]}  {row.started_at:%Y-%m-%d %H:%M}  {mark} {row.task_id:<32} "
        f"{row.purpose.value:<8} {' '.join(filter(None, place)):<10} {reward}  {row.run_key}"
    )


def _show(ledger: Ledger, found: list[Episode], as_json: bool) -> None:
    from grindstone.ledger.recall import recall
    from grindstone.observe.narrative import trajectory_markdown

    if len(found) != 1:
        problem = "names no attempt" if not found else f"fits {len(found)} attempts"
        raise InputError("episode_id", problem, "the start of one attempt's id")
    seen = recall(ledger, found[0].run_key, [found[0].episode_id])
    document = {"episode": found[0].model_dump(mode="json")}
    text = _line(found[0])
    if seen:
        document["trajectory"] = seen[0].trajectory.model_dump(mode="json")
        text += f"\n\n{trajectory_markdown(seen[0].trajectory)}"
    elif found[0].error_detail:
        text += f"\n\n{found[0].error_detail}"
    emit(document, as_json=as_json, text=text)
