"""What a flow lost to errors nobody foresaw: kept with its run, and counted at its end."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from prefect.exceptions import CancelledRun

from grindstone.boundary import keeping
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.report.incidents import standing_incidents
from grindstone.report.model import IncidentLine
from grindstone.runs.incidents import IncidentKeeper
from grindstone.tasks.server_loss import is_server_loss


@contextlib.asynccontextmanager
async def losses_kept(home: Home, run_key: str, *, whole: bool = True) -> AsyncIterator[None]:
    """Within, what nobody foresaw in a step is kept with a run.

    Args:
        home: Where.
        run_key: The run.
        whole: False for a part of it, which settles nothing that others lost.
    """
    folder = home.run(run_key)
    kept = await asyncio.to_thread(IncidentKeeper, Ledger(home), folder, run_key, whole=whole)
    with keeping(kept.keep, passing=_ends_the_run, done=kept.done):
        yield


async def losses_of(home: Home, *run_keys: str) -> tuple[IncidentLine, ...]:
    """Return what some runs have lost and not done again."""
    return await asyncio.to_thread(standing_incidents, Ledger(home), *run_keys)


def _ends_the_run(error: Exception) -> bool:
    """Return whether an error is the end of a run and no step's: it is called off, or alone."""
    return isinstance(error, CancelledRun) or is_server_loss(error)
