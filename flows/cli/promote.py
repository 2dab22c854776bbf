"""`grindstone promote`: raise an agent's level by one, if everything allows it."""

from typing import TYPE_CHECKING

import typer

from grindstone.flows.cli.options import takes_settings
from grindstone.flows.cli.output import JsonFlag, Verbose, emit, finish, say
from grindstone.settings import GraduationSettings

if TYPE_CHECKING:
    from grindstone.flows.cli.running import FlowOf
    from grindstone.flows.graduate import Graduated

HIDDEN = frozenset(
    {
        *("tasks_dir", "category", "difficulty", "task_ids", "limit", "use_skills", "agents"),
        *("tasks_with_skills_dir", "tasks_without_skills_dir", "cases", "weekly"),
    }
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("promote")(takes_settings(GraduationSettings, {}, hidden=HIDDEN)(promote))


def promote(
    settings: GraduationSettings, as_json: JsonFlag = False, verbose: Verbose = False
) -> None:
    """Promote an agent to the next level, or list everything that is missing.

    With `--ask true` a person answers in the Prefect UI; else `--validated-by` names who
    answers for it. Exit code 0: promoted; 1: refused; 2: unusable input; 3: infrastructure.
    """
    from grindstone.flows.cli.running import run_flow

    if settings.ask:
        say("Waiting for an answer in the Prefect UI, under Resume in the paused run's menu (⋮) …")
    found = run_flow(_flow, settings, kind="graduate", verbose=verbose)
    emit(found, as_json=as_json, text=found.sentence)
    finish(found.promoted)


def _flow() -> "FlowOf[Graduated]":
    from grindstone.flows.graduate import graduate

    return graduate
