"""What every run begins with: its plan, its resources, its solver, its row in the ledger."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import Generic, TypeVar

from httpx import TransportError

from blocks import BlockNames, configure
from grindstone.attempt.plan import Planned, open_workspace, plan_run
from grindstone.attempt.spec import SolverSettings
from grindstone.errors import BudgetExceededError, Cause, InfrastructureError
from grindstone.settings import RunSettings
from tasks.finishing import finish_run, start_run
from tasks.progress import Progress, current_watcher
from tasks.runtime import Runtime, open_runtime

S = TypeVar("S", bound=RunSettings)
S_co = TypeVar("S_co", bound=RunSettings, covariant=True)


@dataclass(frozen=True)
class Opened(Generic[S_co]):
    """A run that has begun."""

    settings: S_co  # with the saved blocks applied
    blocks: BlockNames
    planned: Planned
    runtime: Runtime
    solver: SolverSettings
    slots: asyncio.Semaphore  # how many attempts may run at once

    def model(self, choice: str | None) -> str:
        """Return a role's model id: its own, or the solver's."""
        return choice or self.solver.model_id


@contextlib.asynccontextmanager
async def open_run(
    kind: str, settings: S, blocks: BlockNames, *, seed: str = "skillbench"
) -> AsyncIterator[Opened[S]]:
    """Plan a run or find its plan, open its resources, and note that it runs.

    Args:
        kind: grind, adapt, gate, …
        settings: As the user gave them.
        blocks: Saved blocks that decide some of them.
        seed: What a new agent's workspace is copied from, unless the settings say.

    Raises:
        InputError: The settings, or the run key's own plan, do not allow it.
        InfrastructureError: No sandbox engine answers, or what the run stands on gave way; it
            is noted as failed, and its key resumes it.
    """
    settings = await configure(settings, blocks)
    workspace = await asyncio.to_thread(open_workspace, settings, seed)
    planned = await asyncio.to_thread(plan_run, kind, settings, workspace)
    async with open_runtime(
        home=settings.work_dir.absolute(),
        run_key=planned.plan.run_key,
        agent_id=settings.agent_id,
        sandbox=settings.sandbox,
        model_block=blocks.model,
        max_cost_usd=settings.max_cost_usd,
        max_tokens_total=settings.max_tokens_total,
        rehearsal_price_as=settings.rehearsal_price_as,
        watch=current_watcher(),
    ) as runtime:
        resolved = runtime.models.resolve(settings.model_id)
        runtime.tell(Progress("note", detail=resolved.reason))
        runtime.tell(Progress("note", detail=f"Run {runtime.run_key}, agent {settings.agent_id}"))
        solver = SolverSettings.of(
            settings, model_id=resolved.model_id, sandbox=runtime.provider.kind
        )
        await start_run(runtime, planned, settings, solver)
        slots = asyncio.Semaphore(settings.max_workers)
        try:
            yield Opened(settings, blocks, planned, runtime, solver, slots)
        except InfrastructureError as error:
            await finish_run(runtime, planned, status="failed", note=str(error))
            raise
        except TransportError as error:  # Prefect's client: models are reached by another one
            lost = server_lost()
            await finish_run(runtime, planned, status="failed", note=str(lost), publish=False)
            raise lost from error


async def within_budget(work: Awaitable[object]) -> str:
    """Do a run's work; return which ceiling ended it early, empty when none did."""
    try:
        await work
    except BudgetExceededError as error:
        return str(error)
    return ""


def server_lost() -> InfrastructureError:
    """Return the error that ends a run whose Prefect server went away."""
    told = "it went away during the run; what was done is kept, and the same run key goes on"
    return InfrastructureError(Cause.PREFECT_SERVER, told)
