"""`grindstone route "task text" --member …`: send a task to who does its domain best."""

from typing import TYPE_CHECKING, Annotated

import typer

from grindstone.flows.cli.options import takes_settings
from grindstone.flows.cli.output import JsonFlag, Verbose, emit, finish
from grindstone.settings import RouteSettings

if TYPE_CHECKING:
    from grindstone.flows.cli.running import FlowOf
    from grindstone.flows.route import Routed

PANELS = (
    dict.fromkeys(("tasks_dir", "check", "environment_dir"), "Task")
    | dict.fromkeys(
        (
            *("member", "base", "domains", "domain", "keywords", "classifier", "min_confidence"),
            *("exploration", "prior_strength", "half_life_days"),
        ),
        "Routing",
    )
    | dict.fromkeys(
        ("allow_escalated", "min_level", "approved_by", "review_timeout_s"), "Permission"
    )
    | dict.fromkeys(
        (
            *("model_id", "strong_model_id", "region", "max_tokens", "native_profile"),
            *("agent", "agent_command", "solver"),
            *(
                "score_mode",
                "seed_workspace",
                "max_steps",
                "context_tokens",
                "skill_select_limit",
                "selection",
            ),
        ),
        "Agent",
    )
    | dict.fromkeys(("max_cost_usd", "max_tokens_total", "rehearsal_price_as"), "Spend")
    | dict.fromkeys(("requests_per_minute", "tokens_per_minute"), "Spend")
)
HIDDEN = frozenset(
    {
        *("task", "agent_id", "category", "difficulty", "task_ids", "limit", "max_workers"),
        *("use_skills", "tasks_with_skills_dir", "tasks_without_skills_dir"),
    }
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("route")(takes_settings(RouteSettings, PANELS, hidden=HIDDEN)(route))


def route(
    settings: RouteSettings,
    task: Annotated[str, typer.Argument(help="What is to be done, or the id of a task.")],
    as_json: JsonFlag = False,
    verbose: Verbose = False,
) -> None:
    """Find a task's domain, choose the member, let it work as far as it may be trusted.

    A task with tests is run and graded; free text is when --check says how, and is only routed
    otherwise. Exit code 0: done, or routed as asked; 1: failed, escalated or declined; 2:
    unusable input; 3: infrastructure.
    """
    from grindstone.flows.cli.running import run_flow

    settings = settings.model_copy(update={"task": task})
    result = run_flow(_flow, settings, kind="route", verbose=verbose)
    emit(result, as_json=as_json, text="" if as_json else _text(result))
    if result.status == "error":
        raise typer.Exit(3)
    finish(result.status in {"done", "decided"}, lost=result.incidents)


def _text(result: "Routed") -> str:
    from rich.table import Table

    from grindstone.competency.routing_page import decision_rows, decision_sentence
    from grindstone.flows.cli.compete import rendered
    from grindstone.report.words import lost

    table = Table(title=decision_sentence(result.decision), title_justify="left")
    rows = decision_rows(result.decision)
    for name in rows[0]:
        table.add_column(name, justify="left" if name == "member" else "right")
    for row in rows:
        table.add_row(*row.values())
    said = [f"Status: {result.status}" + (f" ({result.note})" if result.note else "")]
    return rendered(table, *filter(None, [*said, result.response, lost(result.incidents)]))


def _flow() -> "FlowOf[Routed]":
    from grindstone.flows.route import route

    return route
