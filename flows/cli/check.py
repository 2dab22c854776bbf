"""`grindstone check`: are these tasks sound?"""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grindstone.benchmark.environ import pass_on
from grindstone.flows.cli.home import host_path
from grindstone.flows.cli.options import PASS_ENV_HELP
from grindstone.flows.cli.output import JsonFlag, emit, finish, say
from grindstone.flows.cli.stopping import Stopped, stopping
from grindstone.sandbox.registry import AUTO, AUTO_HELP
from grindstone.text import count

if TYPE_CHECKING:
    from grindstone.benchmark.checking import CheckReport
    from grindstone.benchmark.loading import Dataset
    from grindstone.benchmark.task import Task
    from grindstone.sandbox.protocol import SandboxProvider
    from grindstone.sandbox.registry import Kind


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check")(check)


def check(
    tasks_dir: Annotated[
        Path | None, host_path(help="Folder of task folders. Empty: the bundled ones.")
    ] = None,
    task_ids: Annotated[
        list[str], typer.Option("--task-ids", help="Only these tasks; patterns are allowed.")
    ] = [],  # noqa: B006 - Typer reads it and never writes
    limit: Annotated[int, typer.Option(help="At most this many tasks; 0: all.", min=0)] = 0,
    sandbox: Annotated[
        list[str], typer.Option(help=f"{AUTO_HELP} Several are checked in turn.")
    ] = [AUTO],  # noqa: B006
    cheat: Annotated[
        bool, typer.Option(help="Try a catalogue of ways to a reward that was not earned as well.")
    ] = False,
    pass_env: Annotated[list[str], typer.Option(help=PASS_ENV_HELP, metavar="NAME")] = [],  # noqa: B006
    max_workers: Annotated[int, typer.Option(help="Tasks at once.", min=1, max=64)] = 2,
    as_json: JsonFlag = False,
) -> None:
    """Lint tasks; the oracle must pass and doing nothing must fail in a sandbox.

    Exit code 1 when any task is unsound, 2 when a folder is no task, 3 when an error nobody
    foresaw kept something from being found out; 130 after Ctrl-C, 143 after SIGTERM.
    """
    from grindstone.benchmark import load_tasks
    from grindstone.benchmark.dataset import select
    from grindstone.resources import bundled

    pass_on(pass_env, os.environ)
    dataset = load_tasks(tasks_dir or bundled("examples/tasks"))
    tasks = (
        select(dataset.tasks, ids=task_ids, limit=limit, broken=dataset.broken)
        if dataset.tasks
        else ()
    )
    try:
        with stopping() as stop:
            reports = stop.run(lambda: _check_all(tasks, sandbox, max_workers, cheat=cheat))
    except Stopped as error:
        say("Stopped.")
        raise typer.Exit(error.exit_code) from None
    broken = [str(error) for error in dataset.broken]
    document = {
        "broken": broken,
        "reports": {
            kind: [report.model_dump(mode="json") | {"ok": report.ok} for report in found]
            for kind, found in reports.items()
        },
    }
    emit(document, as_json=as_json, text=_text(dataset, reports))
    if broken:
        raise typer.Exit(2)
    every = [report for found in reports.values() for report in found]
    finish(all(report.ok for report in every), lost=[each for one in every for each in one.lost])


async def _check_all(
    tasks: "Sequence[Task]", sandboxes: Sequence[str], max_workers: int, *, cheat: bool
) -> "dict[Kind, list[CheckReport]]":
    from grindstone.benchmark.checking import check_task
    from grindstone.sandbox import open_provider

    found: dict[Kind, list[CheckReport]] = {}
    for choice in sandboxes:
        provider = await open_provider(choice)
        slots = asyncio.Semaphore(max_workers)

        async def one(
            task: "Task", provider: "SandboxProvider" = provider, slots: asyncio.Semaphore = slots
        ) -> "CheckReport":
            async with slots:
                report = await check_task(task, provider, cheat=cheat)
            say(_line(report))
            return report

        try:
            await provider.reap()
            say(f"Checking {count(len(tasks), 'task')} on {provider.kind}")
            found[provider.kind] = list(await asyncio.gather(*(one(task) for task in tasks)))
        finally:
            await provider.close()
    return found


def _line(report: "CheckReport") -> str:
    stages = "  ".join(f"{stage.name} {stage.status}" for stage in report.stages)
    forged = f"  {_forged([report])}" if report.cheats else ""
    return f"{'✓' if report.ok else '✗'} {report.task_id}  {stages}{forged}"


def _forged(reports: "Sequence[CheckReport]") -> str:
    from grindstone.report.words import forged

    tried = [cheat for report in reports for cheat in report.cheats if not cheat.conceded]
    paid = sum(cheat.pays for cheat in tried)
    return forged(paid, len(tried))


def _paying(reports: "Sequence[CheckReport]") -> list[str]:
    paying = [(report, cheat) for report in reports for cheat in report.cheats if cheat.pays]
    lines = [
        f"  ✗ {report.task_id}: {cheat.way} pays with a {cheat.verifier} verifier: {cheat.about}"
        for report, cheat in paying
        if not cheat.conceded
    ]
    conceded = [report.task_id for report, cheat in paying if cheat.conceded]
    if conceded:
        lines.append(
            f"  {len(set(conceded))} tasks can be forged in the agent's own sandbox, by replacing "
            "the programs that tests run on: --verifier separate closes that"
        )
    return lines


def _text(dataset: "Dataset", reports: "dict[Kind, list[CheckReport]]") -> str:
    from grindstone.benchmark.lint_image import UNKNOWN_KEY

    lines = [f"✗ {error}" for error in dataset.broken]
    for kind, found in reports.items():
        sound = sum(report.ok for report in found)
        lost = sum(len(report.lost) for report in found)
        missing = f"; {count(lost, 'internal error')}" if lost else ""
        lines.append(f"{kind}: {sound} of {len(found)} tasks are sound{missing}")
        if any(report.cheats for report in found):
            lines.append(f"{kind}: {_forged(found)}")
            lines += _paying(found)
        for report in found:
            if not report.ok:
                lines += [f"  ✗ {report.task_id}"]
                lines += [
                    f"    {stage.name}: {stage.detail}"
                    for stage in report.stages
                    if stage.status not in ("ok", "skipped")
                ]
            lines += [
                f"    {finding.severity}: {report.task_id}/{finding.file}: {finding.message}"
                f" ({finding.remedy})"
                for finding in report.findings
                if finding.severity == "error" or not report.ok or finding.rule == UNKNOWN_KEY
            ]
    return "\n".join(lines)
