"""`grindstone exam`: edge cases made of failures, and an agent's exam on them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grindstone.errors import InputError
from grindstone.flows.cli.home import WorkDir, host_path
from grindstone.flows.cli.options import takes_settings
from grindstone.flows.cli.output import JsonFlag, Verbose, emit, finish, say
from grindstone.home import Home
from grindstone.settings import GraduationSettings

if TYPE_CHECKING:
    from grindstone.flows.cli.running import FlowOf
    from grindstone.graduation.decisions.exam import ExamResult

HIDDEN = frozenset(
    {
        *("tasks_dir", "category", "difficulty", "task_ids", "limit", "use_skills", "agents"),
        *("tasks_with_skills_dir", "tasks_without_skills_dir", "validated_by", "ask"),
        *("approval_timeout_s", "notify_block", "weekly"),
    }
)


def register(app: typer.Typer) -> None:
    """Add the command group."""
    group = typer.Typer(name="exam", help="Edge cases made of failures, and exams on them.")
    group.command("run")(takes_settings(GraduationSettings, {}, hidden=HIDDEN)(run))
    group.command("add")(add)
    group.command("retire")(retire)
    group.command("list")(list_cases)
    app.add_typer(group)


def run(settings: GraduationSettings, as_json: JsonFlag = False, verbose: Verbose = False) -> None:
    """Have an agent attempt the edge cases in sandboxes.

    Exit code 0: passed; 1: not passed, also where there was no case; 2: unusable input;
    3: infrastructure.
    """
    from grindstone.flows.cli.running import run_flow
    from grindstone.graduation.words import case_line, exam_cost, exam_line
    from grindstone.report.words import lost

    found = run_flow(_flow, settings, kind="exam", verbose=verbose)
    lines = [case_line(case) for case in found.cases]
    lines.append(exam_line(found))
    lines.append(f"Cost: {exam_cost(found)}{' (a rehearsal)' * found.rehearsal}")
    lines.append(lost(found.incidents))
    emit(found, as_json=as_json, text="\n".join(lines))
    if any(case.passed is None for case in found.cases):
        raise typer.Exit(3)
    finish(found.passed, lost=found.incidents)


def add(
    episode: Annotated[
        str, typer.Option("--episode", help="Id of the recorded failure, or its beginning.")
    ],
    added_by: Annotated[str, typer.Option("--by", help="Who adds it.")],
    task_dir: Annotated[
        Path | None,
        host_path(help="The task it failed on. Empty: found through the run's own plan."),
    ] = None,
    description: Annotated[str, typer.Option(help="What went wrong, for people.")] = "",
    work_dir: WorkDir = Path("evolution_workdir"),
    as_json: JsonFlag = False,
) -> None:
    """Keep a failed episode's task, so that others are examined on it."""
    from grindstone.graduation import GraduationService
    from grindstone.ledger import Ledger
    from grindstone.ledger.recall import one_of
    from grindstone.records import Episode

    service = GraduationService(work_dir.absolute())
    rows = Ledger(service.registry.home).rows(Episode)
    whole = one_of(sorted(rows, key=lambda row: row.started_at), episode, "--episode").episode_id
    found = service.registry.episode(whole)
    folder = task_dir or _task_of(Home.at(work_dir), found.run_key, found.task_id)
    case = service.sync.add_edge_case(whole, folder, added_by=added_by, description=description)
    emit(case, as_json=as_json, text=case.case_id)
    say(f"{case.title}: {case.agent_id} failed on it in episode {case.episode_id}.")


def retire(
    case_id: Annotated[str, typer.Argument(help="The case, as `exam list` names it.")],
    by: Annotated[str, typer.Option(help="Who answers for it.")],
    reason: Annotated[str, typer.Option(help="Why; it goes into the audit trail.")],
    work_dir: WorkDir = Path("evolution_workdir"),
    as_json: JsonFlag = False,
) -> None:
    """Take an edge case out of all exams; one that only is gone lets no exam be passed."""
    from grindstone.graduation import GraduationService

    service = GraduationService(work_dir.absolute())
    event = service.sync.retire_edge_case(case_id, by=by, reason=reason)
    emit(event, as_json=as_json, text=f"{case_id}: retired, event {event.sequence}.")


def list_cases(work_dir: WorkDir = Path("evolution_workdir"), as_json: JsonFlag = False) -> None:
    """List the edge cases of a home."""
    from grindstone.graduation.decisions.edge_cases import case_ids, load_case
    from grindstone.graduation.decisions.exam_pool import gone_cases, retired_cases
    from grindstone.graduation.registry import open_desk
    from grindstone.runs.elsewhere import bring_rules

    home = Home.at(work_dir)
    bring_rules(home)
    registry = open_desk(home)
    events = registry.chain.events()
    cases, out = [load_case(home, name) for name in case_ids(home)], retired_cases(events)
    lines = [
        f"{case.case_id:<48} {case.title} ({case.agent_id})"
        f"{', retired' if case.case_id in out else ''}"
        for case in cases
    ]
    lines += [
        f"{name:<48} was added, and is gone or changed" for name in gone_cases(registry, events)
    ]
    emit(
        [case.model_dump(mode="json") | {"retired": case.case_id in out} for case in cases],
        as_json=as_json,
        text="\n".join(lines) or "No edge cases yet; `grindstone exam add` makes them.",
    )


def _task_of(home: Home, run_key: str, task_id: str) -> Path:
    """Return a task's folder as the run's plan names it, else the bundled one."""
    from grindstone.resources import bundled
    from grindstone.runs.plan import kept_plan
    from grindstone.runs.task_set import tasks_folder

    plan = kept_plan(home, run_key)
    named = plan.settings.get("tasks_dir") if plan else None
    folder = tasks_folder(Path(str(named)) if named else bundled("examples/tasks")) / task_id
    if not folder.is_dir():
        raise InputError("--task-dir", f"{folder} is not there", f"the folder of task {task_id}")
    return folder


def _flow() -> "FlowOf[ExamResult]":
    from grindstone.flows.exam import exam

    return exam
