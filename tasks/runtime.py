"""What a run holds open: sandboxes, models, ledger and the agent's workspace.

A flow opens it once; the attempts below it find it in a context variable, since they run
on the same event loop. An attempt that was sent to another machine opens its own.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from blocks import credentials
from grindstone.ledger import Ledger
from grindstone.llm import CallRecord, Journal, Models, open_models
from grindstone.sandbox import Provider, open_provider
from grindstone.sandbox.provider import Choice
from grindstone.workspace import Workspace
from tasks.progress import Progress, Watcher, ignore

STARTS_AT_ONCE = 3
"""Attempts that may be starting together. SQLite answers "database is locked" to more, and
the client then waits two seconds; how many attempts *run* at once is the user's setting."""


@dataclass(frozen=True)
class Runtime:
    """A run's open resources; belongs to one event loop."""

    home: Path
    run_key: str
    agent_id: str
    workspace: Workspace
    ledger: Ledger
    provider: Provider
    models: Models
    watch: Watcher = ignore
    starts: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(STARTS_AT_ONCE))
    calls: defaultdict[str, list[CallRecord]] = field(default_factory=lambda: defaultdict(list))
    starting: set[str] = field(default_factory=set)

    @property
    def run_dir(self) -> Path:
        """Where the run's journal, report and plots are."""
        return self.home / "runs" / self.run_key

    async def snapshot(self, commit: str) -> Path:
        """Return a folder with the workspace as of a commit, shared and not to be written."""
        return await asyncio.to_thread(self.workspace.frozen, commit)

    def record_calls(self) -> None:
        """Bring the journal's calls into the ledger: those of processes that died included."""
        records = [entry.record for entry in Journal(self.run_dir / "journal").entries()]
        if records:
            self.ledger.append(records, run_key=self.run_key)

    def calls_of(self, scope: str) -> Sequence[CallRecord]:
        """Return the model calls made so far on behalf of an episode or a step."""
        return self.calls[scope]

    def cost_of(self, scope: str) -> float | None:
        """Return US dollars spent on behalf of an episode or a step; None: a price is unknown."""
        costs = [call.cost_usd for call in self.calls_of(scope)]
        return None if any(cost is None for cost in costs) else sum(cost or 0.0 for cost in costs)

    @contextlib.asynccontextmanager
    async def start(self, name: str) -> AsyncIterator[None]:
        """Hold one of the places for starting; `started` gives it back early."""
        await self.starts.acquire()
        self.starting.add(name)
        try:
            yield
        finally:
            self.started(name)

    def started(self, name: str) -> None:
        """Let the next one start."""
        if name in self.starting:
            self.starting.remove(name)
            self.starts.release()

    def tell(self, event: Progress) -> None:
        """Tell whoever watches the run."""
        self.watch(event)


CURRENT: ContextVar[Runtime | None] = ContextVar("grindstone_runtime", default=None)


@contextlib.asynccontextmanager
async def open_runtime(
    *,
    home: Path,
    run_key: str,
    agent_id: str,
    sandbox: Choice,
    model_block: str | None = None,
    max_cost_usd: float | None = None,
    max_tokens_total: int | None = None,
    watch: Watcher = ignore,
    reap: bool = True,
) -> AsyncIterator[Runtime]:
    """Open a run's resources, and sweep away what dead runs left behind, before and after.

    Args:
        home: The folder everything is kept in.
        run_key: The run; the same key again continues it.
        agent_id: Whose workspace is meant.
        sandbox: Which provider.
        model_block: A saved block with credentials; None for the environment's.
        max_cost_usd: The run's ceiling.
        max_tokens_total: Likewise, in tokens.
        watch: Told what happens.
        reap: False for a part of a run, which must leave the run's other parts alone.
    """
    ledger = Ledger(home)
    workspace = await asyncio.to_thread(Workspace.open, home / "agents" / agent_id / "workspace")
    provider = await open_provider(sandbox)
    calls: defaultdict[str, list[CallRecord]] = defaultdict(list)
    try:
        if reap:
            await provider.reap()
        async with open_models(
            run_key=run_key,
            journal_dir=home / "runs" / run_key / "journal",
            max_cost_usd=max_cost_usd,
            max_tokens_total=max_tokens_total,
            on_call=lambda record: calls[record.scope].append(record),
            environ=await credentials(model_block),
        ) as models:
            runtime = Runtime(
                home=home,
                run_key=run_key,
                agent_id=agent_id,
                workspace=workspace,
                ledger=ledger,
                provider=provider,
                models=models,
                watch=watch,
                calls=calls,
            )
            token = CURRENT.set(runtime)
            try:
                yield runtime
            finally:
                CURRENT.reset(token)
                await asyncio.to_thread(runtime.record_calls)
    finally:
        if reap:
            await provider.reap(run_key=run_key)
        await provider.close()
