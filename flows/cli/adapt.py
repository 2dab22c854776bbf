"""`grindstone adapt`: learn skills without labels."""

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grindstone.flows.cli.consent import EstimateFlag
from grindstone.flows.cli.options import takes_settings
from grindstone.flows.cli.output import JsonFlag, Verbose, emit, finish_run, say
from grindstone.settings import AdaptiveSettings, SearchOptions

if TYPE_CHECKING:
    from grindstone.flows.adapt import Adapted
    from grindstone.flows.cli.running import FlowOf
    from grindstone.report.model import RunReport

PANELS = (
    dict.fromkeys(
        (
            *("trajectory_only", "max_skills", "evolve_skills", "evolve_prompts"),
            *("evolve_memory", "protect_skills", "solver_proposed", "prompt_only"),
            *("batch_size", "holdout_ratio", "egl_threshold", "egl_window"),
            *("max_cycles", "max_skill_chars", "feedback_level", "no_direct_answers"),
        ),
        "Adaptive skill",
    )
    | dict.fromkeys(SearchOptions.model_fields, "Gate")
    | dict.fromkeys(("tasks_dir", "category", "difficulty", "task_ids", "limit"), "Tasks")
    | dict.fromkeys(("judge_model_id", "judge_agent", "model_id"), "Models")
    | dict.fromkeys(("evolver_model_id", "evolver_agent"), "Models")
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("adapt")(takes_settings(AdaptiveSettings, PANELS)(adapt))


def adapt(
    settings: AdaptiveSettings,
    calibrate_judge: Annotated[
        bool,
        typer.Option(
            "--calibrate-judge",
            help="Afterwards, compare the judge's scores with the verdicts in the ledger.",
        ),
    ] = False,
    estimate: EstimateFlag = False,
    as_json: JsonFlag = False,
    verbose: Verbose = False,
) -> None:
    """Attempt a batch, judge it from behaviour, evolve under a budget, weigh on holdout tasks.

    The same --run-key again resumes a run. Exit code 0: the run ended and reported;
    1: a spending ceiling ended it early; 2: unusable input; 3: infrastructure.
    """
    from grindstone.flows.cli.running import run_flow

    result = run_flow(
        _flow,
        settings,
        kind="adapt",
        estimate=estimate,
        as_json=as_json,
        verbose=verbose,
        calibrate_judge=calibrate_judge,
    )
    text = (result.folder / "report.md").read_text("utf-8")
    document: RunReport | dict[str, Any] = result.report
    if calibrate_judge:
        from grindstone.report.judge_calibration import calibration_sentence

        judged = None if result.judge is None else result.judge.model_dump(mode="json")
        document = result.report.model_dump(mode="json") | {"judge": judged}
        text = f"{text}\n## Judge\n\n{calibration_sentence(result.judge)}\n"
    emit(document, as_json=as_json, text=text)
    say(f"Report: {os.path.relpath(result.folder / 'report.md')}")
    finish_run(result.report, allow_broken=settings.allow_broken)


def _flow() -> "FlowOf[Adapted]":
    from grindstone.flows.adapt import adapt

    return adapt
