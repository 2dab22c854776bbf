"""`grindstone compete`: score an agent's domains and train the weakest."""

import shutil
import sys
from io import StringIO
from typing import TYPE_CHECKING, Any

import typer

from grindstone.flows.cli.consent import EstimateFlag
from grindstone.flows.cli.options import takes_settings
from grindstone.flows.cli.output import JsonFlag, Verbose, emit, finish
from grindstone.settings import CompetencySettings

if TYPE_CHECKING:
    from grindstone.flows.cli.running import FlowOf
    from grindstone.flows.compete import Competed

PANELS = (
    dict.fromkeys(("tasks_dir", "category", "difficulty", "task_ids", "limit"), "Tasks")
    | dict.fromkeys(
        (
            *("base", "domains", "domains_by", "dependency", "default_weight"),
            *("min_episodes", "prior_strength", "half_life_days", "probe", "trials"),
        ),
        "Competency",
    )
    | dict.fromkeys(
        (
            *("target_index", "max_jobs", "deficit_threshold", "train", "job_kind", "max_cycles"),
            *("evolver_model_id", "held_out"),
        ),
        "Training",
    )
    | dict.fromkeys(
        (
            *("model_id", "region", "max_tokens", "native_profile", "score_mode"),
            *("agent", "agent_command", "solver"),
            *(
                "seed_workspace",
                "agent_id",
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
HIDDEN = frozenset({"use_skills", "tasks_with_skills_dir", "tasks_without_skills_dir"})


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compete")(takes_settings(CompetencySettings, PANELS, hidden=HIDDEN)(compete))


def compete(
    settings: CompetencySettings,
    estimate: EstimateFlag = False,
    as_json: JsonFlag = False,
    verbose: Verbose = False,
) -> None:
    """Score an agent's domains from its attempts, and train it where it matters most.

    Exit code 0: scored, and trained where that was asked for; 1: a spending ceiling ended it
    early; 2: unusable input; 3: infrastructure,
    also where it kept a probe from any score, or a training failed.
    """
    from grindstone.flows.cli.running import run_flow

    result = run_flow(
        _flow,
        settings,
        kind="compete",
        estimate=estimate,
        as_json=as_json,
        verbose=verbose,
    )
    emit(result, as_json=as_json, text="" if as_json else _text(result))
    finish(not result.note, lost=result.incidents or result.unscored)


def _text(result: "Competed") -> str:
    from rich.table import Table

    from grindstone.competency.scoring_page import headline, table_rows
    from grindstone.report.words import lost

    parts: list[Any] = []
    for scored in result.scorings:
        when = "after training" if scored.index else "now"
        table = Table(title=f"{headline(scored.result)} ({when})", title_justify="left")
        rows = table_rows(scored)
        for name in rows[0]:
            right = name not in {"domain", "note"}
            table.add_column(name, justify="right" if right else "left")
        for row in rows:
            table.add_row(*row.values())
        reason = scored.result.balance_reason
        parts += [table, f"{reason[0].upper()}{reason[1:]}.", ""]
    jobs = Table(title="Training", title_justify="left")
    for name in ("domain", "state", "before", "after", "note"):
        jobs.add_column(name)
    for job in result.jobs:
        numbers = ("" if value is None else f"{value:.2f}" for value in (job.before, job.after))
        jobs.add_row(job.domain, job.status, *numbers, job.note)
    if result.jobs:
        parts.append(jobs)
    said = [f"Stopped: {result.note}" if result.note else "", lost(result.incidents)]
    return rendered(*parts, *filter(None, said))


def rendered(*parts: Any) -> str:
    """Return tables and sentences as they look on the terminal, or on a wide page in a pipe."""
    from rich.console import Console

    out = StringIO()
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 140
    console = Console(file=out, width=width, force_terminal=sys.stdout.isatty())
    for part in parts:
        console.print(part, markup=False, highlight=False)
    return out.getvalue()


def _flow() -> "FlowOf[Competed]":
    from grindstone.flows.compete import compete

    return compete
