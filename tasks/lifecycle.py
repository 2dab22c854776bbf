"""A run's first and last steps: its row in the ledger, its report, its artifacts."""

import asyncio
import contextlib
from pathlib import Path

from grindstone.attempt.spec import SolverSettings
from grindstone.base import Frozen
from grindstone.boundary import step_done
from grindstone.errors import InfrastructureError
from grindstone.ledger.compaction import merge_ended
from grindstone.ledger.row import LedgerError
from grindstone.report.incidents import standing_incidents
from grindstone.report.model import RunReport
from grindstone.runs.elsewhere import show_elsewhere
from grindstone.runs.incidents import spared
from grindstone.runs.plan import Planned
from grindstone.runs.progress import RunBegan, Spent
from grindstone.runs.report import write_report
from grindstone.runs.row import Ended, begin_run, end_run
from grindstone.settings import RunSettings
from grindstone.tasks.publish import publish_report
from grindstone.tasks.runtime import Runtime
from grindstone.telemetry.recorded import send_run

SKILLS_TOLD = 5
"""Unusable skills that a run's beginning tells of one by one."""


class Finished(Frozen):
    """What a run returns: its report and where its files are."""

    report: RunReport
    folder: Path


async def start_run(
    runtime: Runtime, planned: Planned, settings: RunSettings, solver: SolverSettings
) -> None:
    """Note that a run begins, or goes on.

    Raises:
        InputError: `auto` stands for something else than when the run began.
    """
    await asyncio.to_thread(
        begin_run,
        runtime.ledger,
        planned,
        settings,
        model=solver.model_id,
        profile=solver.profile_name,
        sandbox=solver.sandbox,
        rehearsal=solver.rehearsal,
    )
    for problem in planned.broken:
        runtime.note(f"Left out: {problem}")
    broken = (await asyncio.to_thread(runtime.workspace.library.load)).broken
    for skill in broken[:SKILLS_TOLD]:
        runtime.note(f"A skill that is offered to nobody: {skill.problem}")
    if len(broken) > SKILLS_TOLD:
        runtime.note(f"{len(broken) - SKILLS_TOLD} more such: grindstone skills list")
    for task in planned.tasks:
        for warning in task.warnings:
            runtime.note(f"{task.task_id}/task.toml: {warning}")
    runtime.tell(RunBegan(runtime.run_key, planned.resumed, len(planned.tasks)))
    runtime.tell(Spent(runtime.models.spent()))  # of a run that goes on, before it did


async def finish_run(
    runtime: Runtime,
    *,
    status: Ended | None = None,
    note: str = "",
    converged: bool | None = None,
    publish: bool = True,
) -> Finished:
    """Close a run: state, report, plots and what the Prefect UI shows.

    Args:
        runtime: The run's resources.
        status: By default stopped where there is a note, else completed.
        note: Why it stopped early; empty when it did all.
        converged: Whether its skill library settled.
        publish: Whether the Prefect UI is to show it.
    """
    with spared("calls of this run, brought into the ledger"):
        await runtime.reread_calls()
        await runtime.record_calls()
    ended = status or ("stopped" if note else "completed")
    await asyncio.to_thread(
        end_run, runtime.ledger, runtime.run_key, ended, note=note, converged=converged
    )
    send_run(runtime.outlet, runtime.ledger, runtime.run_key)
    if ended in ("completed", "stopped"):
        step_done(run_step(runtime.run_key))
    written = (runtime.ledger, runtime.run_key, runtime.folder)
    report, images = await asyncio.to_thread(write_report, *written)
    if publish:
        with spared("what the UI shows of the report"):
            await publish_report(report, images)
    # What the plots and the UI's pages lost, or made good, belongs into the report too.
    made = bool(report.kind)  # and not the one that says in its place that there is none
    if made and await asyncio.to_thread(standing_incidents, *written[:2]) != report.incidents:
        report, _ = await asyncio.to_thread(write_report, *written, drawn=images)
    await asyncio.to_thread(show_elsewhere, runtime.home, runtime.run_key)
    if ended == "completed":
        # It saves readers time alone; one who meets the same fault will say it.
        with contextlib.suppress(LedgerError, InfrastructureError, OSError):
            await asyncio.to_thread(merge_ended, runtime.ledger, runtime.run_key)
    if note:
        runtime.note(f"{ended.capitalize()}: {note}")
    return Finished(report=report, folder=runtime.folder.root)


def run_step(run_key: str) -> str:
    """Return what a whole run is called as a step."""
    return f"run {run_key}"
