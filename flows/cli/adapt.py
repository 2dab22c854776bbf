"""`grindstone adapt`: learn skills without labels."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from grindstone.flows.cli.consent import EstimateFlag
from grindstone.flows.cli.options import takes_settings
from grindstone.flows.cli.output import JsonFlag, Verbose, tell_run
from grindstone.settings import AdaptiveSettings, SearchOptions

if TYPE_CHECKING:
    from grindstone.flows.adapt import Adapted
    from grindstone.flows.cli.running import FlowOf

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

    if calibrate_judge:
        settings.require_judge("--calibrate-judge")
    result = run_flow(
        _flow,
        settings,
        kind="adapt",
        estimate=estimate,
        as_json=as_json,
        verbose=verbose,
        calibrate_judge=calibrate_judge,
    )
    document: dict[str, Any] | None = None
    more = ""
    if calibrate_judge:
        from grindstone.report.judge_calibration import calibration_sentence

        judged = None if result.judge is None else result.judge.model_dump(mode="json")
        document = result.report.model_dump(mode="json") | {"judge": judged}
        more = f"\n## Judge\n\n{calibration_sentence(result.judge)}\n"
    tell_run(
        result,
        as_json=as_json,
        allow_broken=settings.allow_broken,
        document=document,
        more=more,
    )


def _flow() -> "FlowOf[Adapted]":
    from grindstone.flows.adapt import adapt

    return adapt
