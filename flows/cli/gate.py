"""`grindstone gate run` and `grindstone gate calibrate`."""

import os
from typing import Any

import typer

from grindstone.flows.cli.options import takes_settings
from grindstone.flows.cli.output import JsonFlag, Verbose, emit, finish, say
from grindstone.settings import CalibrateSettings, GateOptions, GateSettings

PANELS = dict.fromkeys(GateOptions.model_fields, "Gate") | dict.fromkeys(
    ("baseline", "candidate", "holdout_ratio", "roll_back", "repeats", "handicap"), "Gate"
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Weigh a change of a workspace on the same tasks, before and after.")
    group.command("run")(takes_settings(GateSettings, PANELS)(run))
    hidden = frozenset({"baseline", "roll_back", "gate_early_stop", "gate_on_cannot_tell"})
    group.command("calibrate")(takes_settings(CalibrateSettings, PANELS, hidden=hidden)(calibrate))
    app.add_typer(group, name="gate")


def run(settings: GateSettings, as_json: JsonFlag = False, verbose: Verbose = False) -> None:
    """Attempt the same tasks before and after a change; accept it, or roll it back.

    Exit code 0: accepted; 1: rejected, or a ceiling ended the run; 2: unusable input;
    3: infrastructure. The same --run-key again resumes a run.
    """
    from grindstone.flows.cli.running import run_flow

    result: Any = run_flow("grindstone.flows.gate", "gate", settings, verbose=verbose)
    if result.gated is None:
        emit(result.report, as_json=as_json, text=f"Stopped: {result.report.status}")
        finish(False)
    from grindstone.tasks.gating import gate_markdown

    emit(result.gated, as_json=as_json, text=gate_markdown(result.gated))
    say(f"Report: {os.path.relpath(result.folder / 'report.md')}")
    if result.restored:
        say("The workspace is as it was before the change.")
    finish(result.gated.accepted)


def calibrate(
    settings: CalibrateSettings, as_json: JsonFlag = False, verbose: Verbose = False
) -> None:
    """Measure how often the gate is wrong: a state against itself, and with a known handicap.

    Exit code 0: no rule broke its claim; 1: one did, or a ceiling ended the run; 2: unusable
    input; 3: infrastructure.
    """
    from grindstone.flows.cli.running import run_flow

    result: Any = run_flow(
        "grindstone.flows.calibrate", "calibrate", settings, kind="gate-calibrate", verbose=verbose
    )
    document = result.model_dump(mode="json", include={"sentence", "rules", "holds"})
    emit(document, as_json=as_json, text=(result.folder / "calibration.md").read_text("utf-8"))
    finish(result.holds and result.report.status == "completed")
