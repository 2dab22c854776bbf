"""`grindstone release`: whether an agent has gained, from sealed tasks alone."""

import os
from typing import TYPE_CHECKING

import typer

from grindstone.flows.cli.consent import EstimateFlag
from grindstone.flows.cli.options import takes_settings
from grindstone.flows.cli.output import JsonFlag, Verbose, emit, finish, finish_run, say
from grindstone.settings import ReleaseSettings

if TYPE_CHECKING:
    from grindstone.flows.cli.running import FlowOf
    from grindstone.flows.release import Released

PANELS = dict.fromkeys(("trials", "alpha", "baseline", "candidate", "signing_key"), "Release")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("release")(takes_settings(ReleaseSettings, PANELS)(release))


def release(
    settings: ReleaseSettings,
    estimate: EstimateFlag = False,
    as_json: JsonFlag = False,
    verbose: Verbose = False,
) -> None:
    """Attempt sealed tasks with the present agent and its last release; say what it has gained.

    The same question again has the same answer and spends nothing. Exit code 0: a gain is
    announced; 1: none is, a ceiling ended the run, or the sealed tasks have been looked at so
    often that nothing could convince; 2: unusable input; 3: infrastructure.
    """
    from grindstone.flows.cli.running import run_flow

    result = run_flow(
        _release_flow,
        settings,
        kind="release",
        estimate=estimate,
        as_json=as_json,
        verbose=verbose,
    )
    row, report = result.row, result.report
    if row is None:
        emit(report, as_json=as_json, text="Stopped before it could say anything.")
        raise typer.Exit(1)
    certificate = result.folder / "certificate.md"
    document = row.model_dump(mode="json") | {"repeated": result.repeated}
    emit(document, as_json=as_json, text=certificate.read_text("utf-8"))
    say(f"Certificate: {os.path.relpath(certificate)}")
    if report is not None:
        finish_run(report, ok=row.claimed, allow_broken=settings.allow_broken)
    finish(row.claimed)


def _release_flow() -> "FlowOf[Released]":
    from grindstone.flows.release import release as found

    return found
