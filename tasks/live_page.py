"""One artifact per run that says where the run stands while it goes on.

It is made when a run has lasted a few seconds and then written anew in place, so it has one
version, and a short run none. An update is one request; `PAUSE_S` bounds how many there are.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from uuid import UUID

from httpx import HTTPError
from prefect import get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.context import FlowRunContext
from prefect.exceptions import PrefectException

from grindstone.llm.budget import Spend
from grindstone.runs.standing import RunStanding
from grindstone.tasks.artifacts import artifact_key

PAUSE_S = 5.0
"""Least time between two updates, and before the first."""
LAST_WORD_S = 10.0
"""How long the last update may take: a server that is gone holds no run up."""


def progress_key(agent_id: str) -> str:
    """Return the key of an agent's progress pages."""
    return artifact_key("progress", agent_id)


@contextlib.asynccontextmanager
async def shown_live(
    standing: RunStanding, spent: Callable[[], Spend], *, pause_s: float = PAUSE_S
) -> AsyncIterator[None]:
    """Show where a run stands while the work within is done, and where it stood in the end.

    Args:
        standing: Told by the run.
        spent: What the run has spent so far.
        pause_s: Least seconds between two updates, and before the first.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        yield
        return
    page = ArtifactCreate(
        key=progress_key(standing.agent_id),
        type="markdown",
        flow_run_id=context.flow_run.id,
    )
    async with get_client() as client:

        async def write(over: bool = False) -> None:
            told = {
                "data": standing.page(spent(), over=over),
                "description": standing.headline(spent(), over=over),
            }
            if ids:
                await client.update_artifact(ids[0], ArtifactUpdate(**told))
            else:
                ids.append((await client.create_artifact(page.model_copy(update=told))).id)

        async def keep_up() -> None:
            seen = ""
            while True:
                await asyncio.sleep(pause_s)
                if (now := standing.page(spent())) != seen:
                    with contextlib.suppress(HTTPError, PrefectException):
                        await write()
                        seen = now

        ids: list[UUID] = []  # the artifact's, once it is there
        updates = asyncio.create_task(keep_up())
        try:
            yield
        finally:
            updates.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await updates
            if ids:
                with contextlib.suppress(HTTPError, PrefectException, TimeoutError):
                    async with asyncio.timeout(LAST_WORD_S):
                        await write(over=True)
