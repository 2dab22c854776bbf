"""`grindstone compare`: the same tasks with an agent's skills and without any."""

from typing import TYPE_CHECKING

import typer

from grindstone.flows.cli.consent import EstimateFlag
from grindstone.flows.cli.grind import PANELS
from grindstone.flows.cli.options import takes_settings
from grindstone.flows.cli.output import JsonFlag, Verbose, tell_run
from grindstone.settings import CompareSettings

if TYPE_CHECKING:
    from grindstone.flows.cli.running import FlowOf
    from grindstone.tasks.lifecycle import Finished


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compare")(takes_settings(CompareSettings, PANELS)(compare))


def compare(
    settings: CompareSettings,
    estimate: EstimateFlag = False,
    as_json: JsonFlag = False,
    verbose: Verbose = False,
) -> None:
    """Attempt the same tasks with an agent's skills and without any; tell the difference.

    The same --run-key again resumes a run. Exit code 0: the run ended and reported;
    1: a spending ceiling ended it early; 2: unusable input; 3: infrastructure.
    """
    from grindstone.flows.cli.running import run_flow

    result = run_flow(
        _flow,
        settings,
        kind="compare",
        estimate=estimate,
        as_json=as_json,
        verbose=verbose,
    )
    tell_run(result, as_json=as_json, allow_broken=settings.allow_broken)


def _flow() -> "FlowOf[Finished]":
    from grindstone.flows.compare import compare

    return compare
