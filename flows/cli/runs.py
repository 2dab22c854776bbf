"""`grindstone runs` and `grindstone diff`: the runs of a home, and two of them side by side."""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grindstone.flows.cli.home import WorkDir
from grindstone.flows.cli.output import JsonFlag, emit
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.text import minute

if TYPE_CHECKING:
    from grindstone.report.run_diff import RunDiff, TaskSide
    from grindstone.report.run_list import RunLine


HEAD = (
    f"{'run':<32} {'started (UTC)':<16}  {'kind':<8} {'agent':<14} {'status':<11} "
    "attempts  took  cost"
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("runs")(runs)
    app.command("diff")(diff)


def runs(
    work_dir: WorkDir = Path("evolution_workdir"),
    agent_id: Annotated[str, typer.Option(help="Only of agents of this name; * fits all.")] = "*",
    kind: Annotated[str, typer.Option(help="Only of this kind: grind, adapt, gate, …")] = "*",
    status: Annotated[str, typer.Option(help="Only with this status: running, failed, …")] = "*",
    limit: Annotated[int, typer.Option(help="At most so many, the latest; 0: all.", min=0)] = 30,
    as_json: JsonFlag = False,
) -> None:
    """List the runs of a home, the latest last."""
    from grindstone.report.run_list import list_runs

    wanted = {"agent_id": agent_id, "kind": kind, "status": status}
    home = Home.at(work_dir)
    there = list_runs(Ledger(home))
    found = [
        line
        for line in there
        if all(fnmatchcase(getattr(line, name), glob) for name, glob in wanted.items())
    ]
    shown = found[-limit:]
    emit(
        [line.model_dump(mode="json") for line in shown],
        as_json=as_json,
        text="\n".join([HEAD, *map(_line, shown)]) if shown else _none(there, home),
    )


def diff(
    before: Annotated[
        str,
        typer.Argument(
            help="A run; the start of its key is enough. KEY@without and KEY@cycle-1 are parts."
        ),
    ],
    after: Annotated[str, typer.Argument(help="The run, or the part, to hold against it.")],
    work_dir: WorkDir = Path("evolution_workdir"),
    as_json: JsonFlag = False,
) -> None:
    """Show the tasks that flipped between two runs, and the skills that changed between them."""
    from grindstone.report.run_diff import diff_runs

    found = diff_runs(Ledger(Home.at(work_dir)), before, after)
    document = found.model_dump(mode="json") | {
        "gained": list(found.gained),
        "lost": list(found.lost),
    }
    emit(document, as_json=as_json, text=_diff_text(found))


def _none(there: "list[RunLine]", home: Home) -> str:
    """Say that no run is listed, and what one could have asked for."""
    if not there:
        return f"No run yet in {home}."
    fields = (("Agents", "agent_id"), ("kinds", "kind"), ("statuses", "status"))
    names = [
        f"{word}: {', '.join(sorted({getattr(line, field) for line in there}))}"
        for word, field in fields
    ]
    return f"No run is like that. {'; '.join(names)}."


def _line(line: "RunLine") -> str:
    from grindstone.report.words import duration

    took = "" if line.duration_s is None else duration(line.duration_s)
    errors = f", {line.errors} without a score" if line.errors else ""
    attempts = f"{line.passed}/{line.attempts} attempts passed{errors}"
    return (
        f"{line.run_key:<32} {minute(line.started_at)}  {line.kind:<8} "
        f"{line.agent_id:<14} {line.status:<11} {attempts}  {took}  {line.cost}"
    ).rstrip()


def _diff_text(found: "RunDiff") -> str:
    parts = [
        f"        {HEAD}",
        f"before  {_line(found.before)} {found.before_part}".rstrip(),
        f"after   {_line(found.after)} {found.after_part}".rstrip(),
        "",
    ]
    for mark, name, tasks in (("✓", "passes now", found.gained), ("✗", "fails now", found.lost)):
        parts += [f"{mark} {name:<11} {task}" for task in tasks]
    same = [task for task in found.tasks if not task.flipped]
    parts.append(f"{len(same)} of {len(found.tasks)} tasks did not flip{':' if same else ''}")
    parts += [f"  {task.task_id:<32} {_side(task.before)} → {_side(task.after)}" for task in same]
    parts.append("")
    for ref in found.evolutions:
        name = "rollback" if ref.number is None else f"evo-{ref.number}"
        parts.append(f"{name:<8} {ref.commit[:10]}  {ref.message}")
    return "\n".join([*parts, found.skill_diff or "The skills are the same."])


def _side(side: "TaskSide | None") -> str:
    if side is None:
        return "not tried"
    if side.passed is None:
        return "no score"
    if side.passed:
        return "passed"
    return f"failed {side.tests_passed}/{side.tests_total}" if side.tests_total else "failed"
