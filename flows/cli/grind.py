"""`grindstone grind`: solve, fail, evolve, retry."""

from typing import TYPE_CHECKING

import typer

from grindstone.flows.cli.consent import EstimateFlag
from grindstone.flows.cli.options import takes_settings
from grindstone.flows.cli.output import JsonFlag, Verbose, tell_run
from grindstone.settings import GrindSettings, SearchOptions

if TYPE_CHECKING:
    from grindstone.flows.cli.running import FlowOf
    from grindstone.tasks.lifecycle import Finished

PANELS = (
    dict.fromkeys(
        (
            *("tasks_dir", "category", "difficulty", "task_ids", "limit"),
            *("use_skills", "tasks_with_skills_dir", "tasks_without_skills_dir"),
        ),
        "Tasks",
    )
    | dict.fromkeys(("max_cycles", "batch_size", "max_workers"), "Grind")
    | dict.fromkeys(
        ("evolve_skills", "evolve_memory", "evolve_prompts", "evolve_tools", "distill"),
        "Evolution scope",
    )
    | dict.fromkeys(("feedback_level", "no_direct_answers"), "Feedback")
    | dict.fromkeys(("task_skill_mode", "skill_select_limit", "selection"), "Skills")
    | dict.fromkeys(("success_mode", "promotion_threshold"), "Success distillation")
    | dict.fromkeys(("holdout_ratio", *SearchOptions.model_fields), "Gate")
    | dict.fromkeys(
        (
            *(
                "model_id",
                "evolver_model_id",
                "evolver_agent",
                "region",
                "max_tokens",
                "native_profile",
            ),
            *("agent", "agent_command", "solver"),
            *("score_mode", "seed_workspace", "agent_id", "max_steps", "context_tokens"),
        ),
        "Agent",
    )
    | dict.fromkeys(("max_cost_usd", "max_tokens_total", "rehearsal_price_as"), "Spend")
    | dict.fromkeys(("requests_per_minute", "tokens_per_minute"), "Spend")
    | dict.fromkeys(("egl_threshold", "egl_window"), "Convergence")
    | dict.fromkeys(("compare", "trials"), "Comparison")
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("grind")(takes_settings(GrindSettings, PANELS)(grind))


def grind(
    settings: GrindSettings,
    estimate: EstimateFlag = False,
    as_json: JsonFlag = False,
    verbose: Verbose = False,
) -> None:
    """Run tasks; on failure let the evolver improve the workspace and try the same task again.

    The same --run-key again resumes a run. Exit code 0: the run ended and reported;
    1: a spending ceiling ended it early; 2: unusable input; 3: infrastructure.
    """
    from grindstone.flows.cli.running import run_flow

    result = run_flow(
        _flow,
        settings,
        kind="grind",
        estimate=estimate,
        as_json=as_json,
        verbose=verbose,
    )
    tell_run(result, as_json=as_json, allow_broken=settings.allow_broken)


def _flow() -> "FlowOf[Finished]":
    from grindstone.flows.grind import grind

    return grind
