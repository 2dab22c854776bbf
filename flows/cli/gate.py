"""`grindstone gate run`, `grindstone gate calibrate` and `grindstone gate simulate`."""

import os
from typing import TYPE_CHECKING

import typer

from grindstone.flows.cli.consent import EstimateFlag
from grindstone.flows.cli.options import takes_settings
from grindstone.flows.cli.output import JsonFlag, Verbose, emit, finish_run, say
from grindstone.settings import CalibrateSettings, GateOptions, GateSettings, SimulateSettings

if TYPE_CHECKING:
    from grindstone.flows.calibrate import CalibrateFinished
    from grindstone.flows.cli.running import FlowOf
    from grindstone.flows.gate import GateFinished

PANELS = dict.fromkeys(GateOptions.model_fields, "Gate") | dict.fromkeys(
    ("baseline", "candidate", "holdout_ratio", "roll_back", "repeats", "handicap"), "Gate"
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Weigh a change of a workspace on the same tasks, before and after.")
    group.command("run")(takes_settings(GateSettings, PANELS)(run))
    hidden = frozenset({"baseline", "roll_back", "gate_early_stop", "gate_on_cannot_tell"})
    group.command("calibrate")(takes_settings(CalibrateSettings, PANELS, hidden=hidden)(calibrate))
    group.command("simulate")(takes_settings(SimulateSettings, {})(simulate))
    app.add_typer(group, name="gate")


def run(
    settings: GateSettings,
    estimate: EstimateFlag = False,
    as_json: JsonFlag = False,
    verbose: Verbose = False,
) -> None:
    """Attempt the same tasks before and after a change; accept it, or roll it back.

    Exit code 0: accepted; 1: rejected, or a ceiling ended the run; 2: unusable input;
    3: infrastructure. The same --run-key again resumes a run.
    """
    from grindstone.flows.cli.running import run_flow

    result = run_flow(
        _gate_flow,
        settings,
        kind="gate",
        estimate=estimate,
        as_json=as_json,
        verbose=verbose,
    )
    gated = result.gated
    if gated is None:
        emit(result.report, as_json=as_json, text=f"Stopped: {result.report.status}")
        finish_run(result.report, ok=False)
        raise AssertionError("unreachable")
    from grindstone.report.gate_page import gate_markdown

    emit(gated, as_json=as_json, text=gate_markdown(gated))
    say(f"Report: {os.path.relpath(result.folder / 'report.md')}")
    if result.restored:
        say("The workspace is as it was before the change.")
    finish_run(result.report, ok=gated.accepted, allow_broken=settings.allow_broken)


def calibrate(
    settings: CalibrateSettings,
    estimate: EstimateFlag = False,
    as_json: JsonFlag = False,
    verbose: Verbose = False,
) -> None:
    """Measure how often the gate is wrong: a state against itself, and with a known handicap.

    Exit code 0: no rule broke its claim; 1: one did, or a ceiling ended the run; 2: unusable
    input; 3: infrastructure.
    """
    from grindstone.flows.cli.running import run_flow

    result = run_flow(
        _calibrate_flow,
        settings,
        kind="gate-calibrate",
        estimate=estimate,
        as_json=as_json,
        verbose=verbose,
    )
    document = result.model_dump(mode="json", include={"sentence", "rules", "holds"})
    emit(document, as_json=as_json, text=(result.folder / "calibration.md").read_text("utf-8"))
    finish_run(result.report, ok=result.holds, allow_broken=settings.allow_broken)


def simulate(settings: SimulateSettings, as_json: JsonFlag = False) -> None:
    """Simulate whole campaigns of gates: the truth, what was seen while searching, what is claimed.

    Nothing is attempted and no model is asked. Exit code 0: simulated; 2: unusable input.
    """
    from grindstone.gate import Campaign, parse_effects, simulate_campaigns

    plan = Campaign(
        tasks=settings.tasks,
        sealed=settings.sealed,
        trials=settings.trials,
        changes=settings.changes,
        effects=parse_effects(settings.effects),
        touched=settings.touched,
        rule=settings.rule,
        alpha=settings.alpha,
        threshold=settings.threshold,
        anchor=settings.anchor,
        second_looks=settings.second_looks,
    )
    odds = simulate_campaigns(plan, campaigns=settings.campaigns, seed=settings.seed)
    price = settings.usd_per_attempt
    cost_usd = None if price is None else round(odds.attempts * price, 2)
    document = {**odds.model_dump(mode="json"), "cost_usd": cost_usd}
    emit(
        {"plan": plan.model_dump(mode="json"), **document},
        as_json=as_json,
        text=odds.told(cost_usd),
    )


def _gate_flow() -> "FlowOf[GateFinished]":
    from grindstone.flows.gate import gate

    return gate


def _calibrate_flow() -> "FlowOf[CalibrateFinished]":
    from grindstone.flows.calibrate import calibrate

    return calibrate
