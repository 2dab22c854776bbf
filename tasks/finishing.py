"""A run's first and last steps: its row in the ledger, its report, its artifacts."""

import asyncio
from pathlib import Path
from typing import Any, Literal

from grindstone.attempt.spec import SolverSettings
from grindstone.base import Frozen
from grindstone.boundary import step_boundary, step_done
from grindstone.errors import InputError, InternalError
from grindstone.files import write_atomic
from grindstone.ledger.tables.runs import RUNNING, RunRow
from grindstone.records import utc_now
from grindstone.report.incidents import standing_incidents
from grindstone.report.markdown import headline, render_markdown
from grindstone.report.model import IncidentLine, RunReport, TaskLine, to_json
from grindstone.report.plots import as_markdown_image, render_svg, report_plots
from grindstone.report.run_report import build_report
from grindstone.runs.incidents import spared
from grindstone.runs.plan import Planned
from grindstone.runs.progress import Note, RunBegan
from grindstone.sandbox.owner import this_process
from grindstone.settings import RunSettings
from grindstone.tasks.artifacts import (
    artifact_key,
    artifact_link,
    newest_pages,
    publish_markdown,
    publish_table,
    trajectory_key,
)
from grindstone.tasks.comparing import publish_comparison
from grindstone.tasks.runtime import Runtime


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
    await _check_same_choices(runtime, solver)
    for problem in planned.broken:
        runtime.tell(Note(f"Left out: {problem}"))
    for task in planned.tasks:
        for warning in task.warnings:
            runtime.tell(Note(f"{task.task_id}/task.toml: {warning}"))
    count = len(planned.tasks)
    runtime.tell(RunBegan(runtime.run_key, planned.resumed, count))
    await _append(
        runtime,
        planned,
        RUNNING,
        **_owner(),
        model=solver.model_id,
        profile=solver.profile.value,
        sandbox=solver.sandbox,
        rehearsal=solver.rehearsal,
        agent_id=settings.agent_id,
        settings=settings.model_dump(mode="json", exclude={"work_dir"}),
    )


def _owner() -> dict[str, Any]:
    """Return who drives the run from now on, so that a reader can see whether it still does."""
    owner = this_process()
    return {"owner_host": owner.host, "owner_pid": owner.pid, "owner_started": owner.started}


async def _check_same_choices(runtime: Runtime, solver: SolverSettings) -> None:
    rows = await asyncio.to_thread(runtime.ledger.rows, RunRow, runtime.run_key)
    for row in rows[:1]:
        for name, was, now in (
            ("--model-id", row.model, solver.model_id),
            ("--sandbox", row.sandbox, solver.sandbox),
        ):
            if was != now:
                problem = f"stands for {now} now; run {runtime.run_key} began with {was}"
                raise InputError(name, problem, was)


async def finish_run(
    runtime: Runtime,
    planned: Planned,
    *,
    status: Literal["completed", "stopped", "failed", "interrupted"] | None = None,
    note: str = "",
    converged: bool | None = None,
    publish: bool = True,
) -> Finished:
    """Close a run: state, report, plots and what the Prefect UI shows.

    Args:
        runtime: The run's resources.
        planned: What it was to do.
        status: By default stopped where there is a note, else completed.
        note: Why it stopped early; empty when it did all.
        converged: Whether its skill library settled.
        publish: Whether the Prefect UI is to show it.
    """
    with spared("calls of this run, brought into the ledger"):
        await runtime.reread_calls()
        await runtime.record_calls()
    status = status or ("stopped" if note else "completed")
    await _append(runtime, planned, status, note=note, converged=converged)
    if status in ("completed", "stopped"):
        step_done(run_step(runtime.run_key))
    report, images = await asyncio.to_thread(_write, runtime)
    if publish:
        with spared("what the UI shows of the report"):
            await _publish(report, images)
    # What the plots and the UI's pages lost, or made good, belongs into the report too.
    made = bool(report.kind)  # and not the one that says in its place that there is none
    if made and await asyncio.to_thread(_stands_with, runtime) != report.incidents:
        report, _ = await asyncio.to_thread(_write, runtime, images)
    if note:
        runtime.tell(Note(f"{status.capitalize()}: {note}"))
    return Finished(report=report, folder=runtime.run_dir)


async def _append(runtime: Runtime, planned: Planned, status: str, **more: Any) -> None:
    def append() -> None:
        rows = runtime.ledger.rows(RunRow, runtime.run_key)
        latest = max(rows, key=lambda row: row.sequence, default=None)
        kept = latest.model_dump() if latest else {"run_key": runtime.run_key}
        kept |= {
            "sequence": latest.sequence + 1 if latest else 0,
            "kind": planned.plan.kind,
            "status": status,
            "n_tasks": len(planned.tasks),
            "left_out": planned.broken,
            "note": "",
            "at": utc_now(),
        }
        runtime.ledger.append([RunRow.model_validate(kept | more)], run_key=runtime.run_key)

    await asyncio.to_thread(append)


def run_step(run_key: str) -> str:
    """Return what a whole run is called as a step."""
    return f"run {run_key}"


def _stands_with(runtime: Runtime) -> tuple[IncidentLine, ...]:
    return standing_incidents(runtime.ledger, runtime.run_key)


def _write(
    runtime: Runtime, drawn: dict[str, str] | None = None
) -> tuple[RunReport, dict[str, str]]:
    """Write report and plots into the run's folder; return the plots as markdown images.

    A report that cannot be made says so in its place: what the run did stands.

    Args:
        runtime: The run's resources.
        drawn: The plots, where they are drawn already.
    """
    folder, images = runtime.run_dir, dict(drawn or {})
    try:
        with step_boundary("report"):
            report = build_report(runtime.ledger, runtime.run_key)
            if drawn is None:
                with spared("plots"):
                    for name, chart in report_plots(report).items():
                        svg = render_svg(chart)
                        write_atomic(folder / "plots" / f"{name}.svg", svg)
                        images[name] = as_markdown_image(svg, name.replace("_", " "))
            files = {name: f"![{name.replace('_', ' ')}](plots/{name}.svg)" for name in images}
            text = render_markdown(report, files)
    except InternalError as error:
        lost = IncidentLine(step="report", error=error.detail, traceback_file="")
        report = RunReport(run_key=runtime.run_key, status="completed", incidents=(lost,))
        text = render_markdown(report)
    with spared("report's files"):
        write_atomic(folder / "report.json", to_json(report))
        write_atomic(folder / "report.md", text)
    return report, images


async def _publish(report: RunReport, images: dict[str, str]) -> None:
    """Show tables and curves, then the report with links to them and to every trajectory."""
    agent, said = report.agent_id, headline(report)
    report_key = artifact_key("report", agent)
    back = artifact_link(report_key, "← report")
    await publish_comparison(report, images.get("comparison", ""))
    keys = {line.task_id: trajectory_key(line.task_id) for line in report.tasks}
    newest = await newest_pages(keys.values())
    pages = {task: newest[key] for task, key in keys.items() if key in newest}
    links = []
    if report.tasks:
        rows = [_verdict_row(line, pages.get(line.task_id, "")) for line in report.tasks]
        page = await publish_table(artifact_key("verdicts", agent), rows, description=said)
        links.append(f"[verdict table]({page})")
    if "egl" in images:
        about = f"New skills per thousand solved tasks, per cycle, in run `{report.run_key}`."
        page = await publish_markdown(
            artifact_key("egl", agent),
            f"# EGL of {agent}\n\n{about} {back}\n\n{images['egl']}\n",
            description=f"EGL curve of {report.run_key}",
        )
        links.append(f"[EGL curve]({page})")
    if report.comparison:
        links.append(
            artifact_link(artifact_key("comparison", agent), "with against without skills")
        )
    links.append(artifact_link(report_key, "earlier reports"))
    title, _, rest = render_markdown(report, images, pages).partition("\n\n")
    await publish_markdown(
        report_key, f"{title}\n\n{' · '.join(links)}\n\n{rest}", description=said
    )


def _verdict_row(line: TaskLine, page: str) -> dict[str, Any]:
    last = line.attempts[-1] if line.attempts else None
    marks = {"passed": "✓", "failed": "✗", "error": "⚠"}
    return {
        "task": line.task_id,
        "category": line.category,
        "difficulty": line.difficulty,
        "cycles": " ".join(marks[item.outcome.value] for item in line.attempts),
        "tests": f"{last.tests_passed}/{last.tests_total}" if last else "",
        "skills that helped": ", ".join(line.helped),
        "cost (USD)": "unknown" if line.cost_usd is None else f"{line.cost_usd:.4f}",
        "trajectory": f"[read it]({page})" if page else "",
    }
