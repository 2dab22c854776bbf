"""`grindstone review`: who is ready for more autonomy, and who no longer holds it."""

from typing import TYPE_CHECKING

import typer

from grindstone.flows.cli.options import takes_settings
from grindstone.flows.cli.output import JsonFlag, Verbose, emit
from grindstone.settings import GraduationSettings

if TYPE_CHECKING:
    from grindstone.flows.cli.running import FlowOf
    from grindstone.graduation.decisions.review import Review

SHOWN = frozenset(
    {
        *("work_dir", "policies_dir", "constitution_dir", "agents", "notify_block", "weekly"),
        *(
            "judge_model_id",
            "judge_agent",
            "sandbox",
            "region",
            "max_cost_usd",
            "max_tokens_total",
            "signing_key",
        ),
    }
)
HIDDEN = frozenset(GraduationSettings.model_fields) - SHOWN


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("review")(takes_settings(GraduationSettings, {}, hidden=HIDDEN)(review))


def review(
    settings: GraduationSettings, as_json: JsonFlag = False, verbose: Verbose = False
) -> None:
    """Check what is unchecked and look at every agent: propose, promote or demote by policy.

    Exit code 0: reviewed; 2: unusable input; 3: infrastructure.
    """
    from grindstone.flows.cli.running import run_flow

    found = run_flow(_flow, settings, kind="review", verbose=verbose)
    emit(found, as_json=as_json, text="" if as_json else _text(found))
    if any(item.action == "not_reviewed" for item in found.decisions):
        raise typer.Exit(3)


def _text(found: "Review") -> str:
    from rich.table import Table

    from grindstone.flows.cli.compete import rendered
    from grindstone.graduation.words import review_line

    table = Table(title=review_line(found), title_justify="left")
    for name, right in (
        *(("agent", False), ("scope", False), ("level", False), ("next", False), ("score", True)),
        *(("ready", False), ("action", False), ("why", False)),
    ):
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for item in found.decisions:
        table.add_row(
            item.agent_id,
            item.scope,
            item.level.value,
            item.target.value if item.target else "",
            f"{item.score:.1f}",
            "✓" if item.ready else "",
            item.action.replace("_", " "),
            item.reason,
        )
    return rendered(table)


def _flow() -> "FlowOf[Review]":
    from grindstone.flows.review import review

    return review
