"""What a run holds open: sandboxes, models, ledger and the agent's workspace.

A flow opens it once; the attempts below it find it in a context variable, since they run
on the same event loop. An attempt that was sent to another machine opens its own.
"""

import asyncio
import contextlib
import os
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel

from grindstone.attempt.run import AttemptResult
from grindstone.benchmark.environ import passed_names
from grindstone.blocks import credentials
from grindstone.home import Home, RunFolder
from grindstone.ledger import Ledger
from grindstone.ledger.recall import scored_episodes
from grindstone.llm import CallRecord, Journal, Models, open_models
from grindstone.llm.pace import Paces
from grindstone.masking import Mask
from grindstone.records import Episode, Role, Usage
from grindstone.runs.allowance import Allowance
from grindstone.runs.incidents import spared
from grindstone.runs.lock import sole_process
from grindstone.runs.progress import Note, Progress, Spent, TurnEnded, Watcher, ignore
from grindstone.runs.remote_lock import Lost
from grindstone.runs.shared_budget import SharedBudget
from grindstone.runs.steered import Steering
from grindstone.sandbox import SandboxProvider, open_provider
from grindstone.sandbox.owner import run_labels
from grindstone.sandbox.registry import Choice
from grindstone.sync import ender
from grindstone.tasks.flow_runs import tagged
from grindstone.tasks.lost_steps import losses_kept
from grindstone.tasks.server_bucket import ServerBucket
from grindstone.tasks.steered import reading_orders
from grindstone.tasks.step import drop_torn_results
from grindstone.telemetry.outlet import Outlet
from grindstone.telemetry.recorded import open_outlet
from grindstone.workspace import Workspace

Calls = defaultdict[str, dict[str, CallRecord]]
"""Calls by scope and id."""

LOST = "the run was called off, for its lock is lost"
"""What is told of a run whose lock in storage could not be held, before the reason."""
STARTS_AT_ONCE = 3
"""Attempts that may be starting together. A Prefect server that is not ours (see
`grindstone.flows.serving`) answers "database is locked" to more on SQLite, and the client then
waits two seconds; how many attempts *run* at once is the user's setting."""


class AfterEpisode(Protocol):
    """What is done after each scored attempt; it may be called again for the same one."""

    async def __call__(
        self, runtime: "Runtime", episode: Episode, attempted: AttemptResult | None
    ) -> None:
        """Do it, with what was made where that is at hand."""


@dataclass(frozen=True)
class Runtime:
    """A run's open resources; belongs to one event loop."""

    home: Home
    run_key: str
    agent_id: str
    workspace: Workspace
    ledger: Ledger
    provider: SandboxProvider
    models: Models
    steering: Steering
    outlet: Outlet | None = None
    watch: Watcher = ignore
    after_episode: AfterEpisode | None = None
    starts: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(STARTS_AT_ONCE))
    calls: Calls = field(default_factory=lambda: defaultdict(dict))
    booked: set[str] = field(default_factory=set)
    starting: set[str] = field(default_factory=set)
    slices: set[str] = field(default_factory=set)  # names of those on their way, whoever sent them
    scored: Mapping[str, Episode] = field(default_factory=dict)  # when the run was opened
    displaced: threading.Event = field(default_factory=threading.Event)
    """Set once another process drives the run, or may: what is the run's is left to that one."""

    @property
    def folder(self) -> RunFolder:
        """Where the run's journal, report and plots are."""
        return self.home.run(self.run_key)

    async def snapshot(self, commit: str) -> Path:
        """Return a folder with the workspace as of a commit, shared and not to be written."""
        return await asyncio.to_thread(self.workspace.frozen, commit)

    async def append(self, rows: Sequence[BaseModel]) -> None:
        """Keep rows of one table; see `Ledger.append`."""
        await asyncio.to_thread(self.ledger.append, rows, run_key=self.run_key)

    async def record_calls(self) -> None:
        """Bring into the ledger the calls it lacks, those of processes that died included."""
        every = [call for calls in self.calls.values() for call in calls.values()]
        missing = [call for call in every if call.call_id not in self.booked]
        await self.append(missing)
        self.booked.update(call.call_id for call in missing)

    async def reread_calls(self) -> None:
        """Take over what other processes wrote into the journal: attempts on other machines."""
        for scope, calls in (await asyncio.to_thread(_journaled, self.folder.journal)).items():
            self.calls[scope] = calls | self.calls[scope]

    def calls_of(self, scope: str) -> Sequence[CallRecord]:
        """Return the model calls made on behalf of an episode or a step, by any process so far."""
        return tuple(self.calls[scope].values())

    def cost_of(self, scope: str) -> float | None:
        """Return US dollars spent on behalf of an episode or a step; None: a price is unknown."""
        costs = [call.cost_usd for call in self.calls_of(scope)]
        return None if any(cost is None for cost in costs) else sum(cost or 0.0 for cost in costs)

    def ended_elsewhere(self, episode: Episode) -> None:
        """Count and tell what an attempt on another machine used.

        Of one that was begun before this process was, the journal had some calls already.
        """
        had = sum((call.usage for call in self.calls_of(episode.episode_id)), Usage())
        paid = self.cost_of(episode.episode_id) or 0.0
        cost = None if episode.cost_usd is None else max(0.0, episode.cost_usd - paid)
        self.models.count_elsewhere(episode.usage.beyond(had), cost)
        self.tell(Spent(self.models.spent()))

    async def has_scored(self, episode: Episode, attempted: AttemptResult | None = None) -> None:
        """Have done what follows from an episode that is in the ledger, if it has a score.

        Args:
            episode: What is in the ledger.
            attempted: What was made; None: an earlier process made it.
        """
        if self.after_episode is not None and episode.passed is not None:
            await self.after_episode(self, episode, attempted)

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

    def note(self, text: str) -> None:
        """Tell a sentence."""
        self.watch(Note(text))


_CURRENT: ContextVar[Runtime | None] = ContextVar("grindstone_runtime", default=None)


def current_runtime() -> Runtime:
    """Return the resources of the run that a step is part of.

    Raises:
        RuntimeError: It is called outside of a run.
    """
    runtime = _CURRENT.get()
    if runtime is None:
        raise RuntimeError("a step was called outside of `open_runtime`")
    return runtime


@contextlib.asynccontextmanager
async def open_runtime(
    *,
    home: Home,
    run_key: str,
    agent_id: str,
    sandbox: Choice,
    oci_runtime: str | None = None,
    allowance: Allowance = Allowance(),
    watch: Watcher = ignore,
    after_episode: AfterEpisode | None = None,
    whole: bool = True,
    shared: bool = False,
    workspace: Workspace | None = None,
) -> AsyncIterator[Runtime]:
    """Open a run's resources, and sweep away what dead runs left behind, before and after.

    Args:
        home: The folder everything is kept in.
        run_key: The run; the same key again continues it.
        agent_id: Whose workspace is meant.
        sandbox: Which provider.
        oci_runtime: Docker's OCI runtime.
        allowance: What its attempts may use.
        watch: Told what happens.
        after_episode: Called after each scored attempt.
        whole: False for a part of a run, which must leave the run's other parts alone.
        shared: Whether other processes of the run spend under its ceilings.
        workspace: The agent's, where it is open already: opening it asks git a dozen times.

    Raises:
        InputError: Another process drives this run.
    """
    folder = home.run(run_key)
    ledger = Ledger(home)
    async with contextlib.AsyncExitStack() as exits:
        await exits.enter_async_context(losses_kept(home, run_key, whole=whole))
        displaced = threading.Event()
        if whole:
            exits.enter_context(sole_process(folder, run_key, lost=_stepping_down(displaced)))
            await asyncio.to_thread(drop_torn_results, home, run_key)
            await exits.enter_async_context(tagged(run_key))
        if workspace is None:
            workspace = await asyncio.to_thread(Workspace.open, home.workspace(agent_id))
        provider = await open_provider(sandbox, oci_runtime)
        exits.push_async_callback(provider.close)
        if whole:
            await _sweep(provider)
            exits.push_async_callback(_sweep, provider, run_labels(home.root, run_key))
        steering = Steering(
            folder,
            max_workers=allowance.max_workers,
            spending=allowance.spending,
            tell=watch,
        )
        calls = await asyncio.to_thread(_journaled, folder.journal)

        def keep(call: CallRecord) -> None:
            calls[call.scope].setdefault(call.call_id, call)
            if call.role is Role.SOLVER:
                watch(TurnEnded(call.scope))
            watch(Spent(models.spent()))

        budget = None
        if shared or await asyncio.to_thread(SharedBudget.is_kept, folder):
            budget = SharedBudget(folder, drives=whole)
            exits.push_async_callback(_leave, budget, displaced)
        models = await exits.enter_async_context(
            open_models(
                run_key=run_key,
                journal_dir=folder.journal,
                spending=steering.ceilings,
                ceilings=steering.look,
                shared=budget,
                paces=Paces(allowance.rates, ServerBucket),
                on_call=keep,
                environ=(environ := await credentials(allowance.model_block)),
                mask=Mask.of({**os.environ, **environ}, passed_names(os.environ)),
            )
        )
        outlet = open_outlet(home, run_key, lambda text: watch(Note(text)))
        runtime = Runtime(
            home=home,
            run_key=run_key,
            agent_id=agent_id,
            workspace=workspace,
            ledger=ledger,
            provider=provider,
            models=models,
            steering=steering,
            outlet=outlet,
            watch=watch,
            after_episode=after_episode,
            calls=calls,
            scored=await asyncio.to_thread(scored_episodes, ledger, run_key),
            displaced=displaced,
        )
        exits.push_async_callback(runtime.record_calls)
        if outlet is not None:
            exits.push_async_callback(asyncio.to_thread, outlet.close)
        await exits.enter_async_context(reading_orders(steering))
        token = _CURRENT.set(runtime)
        try:
            yield runtime
        finally:
            _CURRENT.reset(token)


def _stepping_down(displaced: threading.Event) -> Lost:
    """Return what ends a run whose lock is lost; what is the run's is another process's then."""
    end = ender(LOST)

    def lost(why: str) -> None:
        displaced.set()
        end(why)

    return lost


async def _leave(budget: SharedBudget, displaced: threading.Event) -> None:
    if displaced.is_set():
        budget.step_down()
    await budget.close()


async def _sweep(provider: SandboxProvider, labels: Mapping[str, str] | None = None) -> None:
    """Remove sandboxes nobody needs; one that cannot be removed keeps no run from its work."""
    with spared("sweeping up sandboxes"):
        await provider.reap(labels=labels)


def _journaled(journal_dir: Path) -> Calls:
    """Return the calls that were paid for so far, each once."""
    found: Calls = defaultdict(dict)
    for entry in Journal(journal_dir).entries():
        found[entry.record.scope].setdefault(entry.record.call_id, entry.record)
    return found
