"""A run that has begun: its plan, its resources, its solver, its row in the ledger."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from prefect import get_client
from prefect.exceptions import CancelledRun, ObjectNotFound, TerminationSignal

from grindstone.attempt.sealing import part_tasks
from grindstone.attempt.spec import AttemptSpec, SolverSettings
from grindstone.benchmark import Task
from grindstone.blocks import BlockNames, configure, credentials
from grindstone.boundary import step_boundary
from grindstone.errors import (
    BudgetExceededError,
    CalledOffError,
    Cause,
    GrindstoneError,
    InfrastructureError,
    InputError,
)
from grindstone.flows.attempt import Enough, PlannedAttempt, attempt_all
from grindstone.flows.dispatch.attempt_slice import DEPLOYMENT
from grindstone.flows.dispatch.sending import attempt_in_slices
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.preflight import preflight
from grindstone.records import Arm, Episode, Purpose
from grindstone.runs.allowance import Allowance
from grindstone.runs.elsewhere import bring_here
from grindstone.runs.incidents import spared
from grindstone.runs.orders import note_changed_settings
from grindstone.runs.plan import Planned, open_workspace, plan_run
from grindstone.runs.progress import Progress, RunNamed, told_both
from grindstone.runs.standing import RunStanding
from grindstone.settings import CompetencySettings, EvolveScope, RunSettings
from grindstone.settings.idle import idle
from grindstone.spending import ceiling_sentence
from grindstone.tasks.episode_check import episode_check
from grindstone.tasks.flow_runs import given_to_a_worker, name_run, run_key_of, run_watcher, tag_run
from grindstone.tasks.lifecycle import Finished, finish_run, run_step, start_run
from grindstone.tasks.live_page import shown_live
from grindstone.tasks.lost_steps import losses_kept
from grindstone.tasks.runtime import Runtime, open_runtime
from grindstone.tasks.server_loss import telling_server_loss
from grindstone.tasks.steered import ending_on_order, show_called_off
from grindstone.tasks.turns import turn_with
from grindstone.workspace import Snapshot, Workspace

S = TypeVar("S", bound=RunSettings)
S_co = TypeVar("S_co", bound=RunSettings, covariant=True)


@dataclass(frozen=True)
class Run(Generic[S_co]):
    """A run that has begun."""

    settings: S_co  # with the saved blocks applied
    blocks: BlockNames
    planned: Planned
    runtime: Runtime
    solver: SolverSettings

    @property
    def key(self) -> str:
        """What the run is called."""
        return self.planned.plan.run_key

    @property
    def base(self) -> Snapshot:
        """The workspace the run started from."""
        return self.planned.plan.base

    @property
    def home(self) -> Home:
        """Where everything is kept."""
        return self.runtime.home

    @property
    def ledger(self) -> Ledger:
        """The home's ledger."""
        return self.runtime.ledger

    @property
    def workspace(self) -> Workspace:
        """The agent's workspace, as it evolves."""
        return self.runtime.workspace

    def tell(self, event: Progress) -> None:
        """Tell whoever watches the run."""
        self.runtime.tell(event)

    def note(self, text: str) -> None:
        """Tell a sentence."""
        self.runtime.note(text)

    @property
    def learns(self) -> bool:
        """Whether its attempts teach: what the solution or doing nothing leaves is no lesson."""
        return self.settings.native_profile.aided

    def within(self, scope: EvolveScope) -> EvolveScope:
        """Return what may evolve of what the run allows: the agent's manifest may allow less."""
        return scope & self.workspace.files.manifest.evolvable_layers

    def model(self, choice: str | None) -> str:
        """Return a role's model id: its own, or the solver's."""
        return choice or self.solver.model_id

    def plan_attempt(
        self,
        task: Task,
        at: Snapshot,
        purpose: Purpose,
        *,
        arm: Arm = Arm.NONE,
        trial: int = 0,
        cycle: int = 0,
        batch: int = 0,
        solver: SolverSettings | None = None,
    ) -> PlannedAttempt:
        """Return an attempt that the run's agent is to make.

        Args:
            task: What to try.
            at: The workspace it has.
            purpose: What the attempt is for.
            arm: Which side of a comparison.
            trial: Which of several tries at the same.
            cycle: Of the run; counts from 1, 0 outside of cycles.
            batch: Of the run; counts from 1, 0 outside of batches.
            solver: How the agent works, where it is not as in the rest of the run.
        """
        spec = AttemptSpec(
            home=self.home.root,
            run_key=self.key,
            agent_id=self.runtime.agent_id,
            purpose=purpose,
            arm=arm,
            task_id=task.task_id,
            task_dir=task.path,
            task_digest=task.digest,
            workspace_commit=at.commit,
            workspace_tree=at.tree,
            solver=solver or self.solver,
            trial=trial,
            cycle=cycle,
            batch=batch,
        )
        return PlannedAttempt(spec, task)

    async def attempt_all(
        self, wanted: Sequence[PlannedAttempt], enough: Enough | None = None
    ) -> list[Episode]:
        """Make attempts side by side, here or on a work pool; see `attempt_all`."""
        if self.settings.dispatch == "deployment":
            block = self.blocks.model
            return await attempt_in_slices(self.runtime, wanted, self.settings, block, enough)
        return await attempt_all(self.runtime, wanted, enough=enough)

    async def finish(self, *, note: str = "", converged: bool | None = None) -> Finished:
        """Close the run; see `finish_run`."""
        return await finish_run(self.runtime, note=note, converged=converged)


@contextlib.asynccontextmanager
async def open_run(
    kind: str,
    settings: S,
    blocks: BlockNames,
    *,
    seed: str = "skillbench",
    configured: bool = False,
) -> AsyncIterator[Run[S]]:
    """Plan a run or find its plan, open its resources, and note that it runs.

    Args:
        kind: grind, adapt, gate, …
        settings: As the user gave them.
        blocks: Saved blocks that decide some of them.
        seed: What a new agent's workspace is copied from, unless the settings say.
        configured: Whether the settings are the later word: the blocks were applied to them.

    Raises:
        InputError: The settings, or the run key's own plan, do not allow it.
        InfrastructureError: No sandbox engine answers, or what the run stands on gave way.

    Sealed tasks are none of the run's: nothing below can attempt them or name them.

    A run that changes its agent waits while another one does; see `turn_with`.

    However it ends, the ledger has it: failed, or interrupted where it was called off. Its key
    resumes it.
    """
    key = run_key_of(kind, settings.run_key)
    await tag_run(key)
    if not configured:
        settings = await configure(settings, blocks)
    await checked(kind, settings, blocks)
    settings = settings.model_copy(update={"run_key": key})
    run_watcher()(RunNamed(key))
    async with contextlib.AsyncExitStack() as turn:
        if settings.changes_agent:
            asked = (settings.home, settings.agent_id, key, run_watcher())
            await turn.enter_async_context(turn_with(*asked))
        async with _opened(kind, settings, blocks, seed) as run:
            yield run


@contextlib.asynccontextmanager
async def _opened(kind: str, settings: S, blocks: BlockNames, seed: str) -> AsyncIterator[Run[S]]:
    await asyncio.to_thread(bring_here, settings.home, settings.run_key or "")
    workspace = await asyncio.to_thread(open_workspace, settings, seed)
    planned = await asyncio.to_thread(plan_run, kind, settings, workspace)
    key, tasks = planned.plan.run_key, planned.tasks
    parted = await asyncio.to_thread(part_tasks, kind, settings, key, tasks)
    planned = planned.model_copy(update={"tasks": parted.open})
    with spared("name of the run"):
        await name_run(settings.agent_id, [task.task_id for task in planned.tasks])
    async with open_planned(planned, settings, blocks, workspace) as run:
        for note in (*parted.notes, *_set_aside(workspace)):
            run.note(note)
        yield run


def _set_aside(workspace: Workspace) -> list[str]:
    if not workspace.set_aside:
        return []
    git = f"git -C {workspace.root}"
    return [
        f"What was not committed in the agent's workspace was set aside: {git} cherry-pick "
        f"{workspace.set_aside[:12]} brings it back, for the next run"
    ]


async def checked(kind: str, settings: RunSettings, blocks: BlockNames) -> None:
    """Look for what would fail, before anything is begun; see `grindstone.preflight`.

    Raises:
        InputError: Everything that is unusable, in one.
    """
    await asyncio.to_thread(preflight, kind, settings, await credentials(blocks.model))
    if settings.dispatch == "deployment":
        await require_deployed("dispatch", DEPLOYMENT)
    if isinstance(settings, CompetencySettings) and settings.train == "deployment":
        await require_deployed("train", "train/train")


@contextlib.asynccontextmanager
async def prepared(kind: str, settings: S, blocks: BlockNames) -> AsyncIterator[S]:
    """Prepare what opens its run within, or none at all, and keep what is lost on the way.

    Yields:
        The settings by their blocks and with the run's key.

    Raises:
        InputError: The settings are unusable.
        InfrastructureError: The server went away.
    """
    settings = await configure(settings, blocks)
    await checked(kind, settings, blocks)
    key = run_key_of(kind, settings.run_key)
    with telling_server_loss():
        async with losses_kept(settings.home, key):
            yield settings.model_copy(update={"run_key": key})


async def require_deployed(field: str, name: str) -> None:
    """Make sure that a deployment is there to send runs to.

    Raises:
        InputError: It is not.
    """
    async with get_client() as client:
        try:
            await client.read_deployment_by_name(name)
        except ObjectNotFound as error:
            problem = f"is deployment, and {client.api_url} has no deployment {name}"
            raise InputError(field, problem, "`grindstone up` to be running") from error


@contextlib.asynccontextmanager
async def open_planned(
    planned: Planned, settings: S, blocks: BlockNames, workspace: Workspace | None = None
) -> AsyncIterator[Run[S]]:
    """Open the resources of a run that has a plan, and note that it runs.

    Args:
        planned: Its plan.
        settings: With the saved blocks applied.
        blocks: The saved blocks.
        workspace: The agent's, where it is open already.

    Raises:
        InfrastructureError: As `open_run`.
    """
    standing = RunStanding(planned.plan.run_key, settings.agent_id)
    changed = (Ledger(settings.home), planned, settings)
    await asyncio.to_thread(note_changed_settings, *changed)
    async with open_runtime(
        home=settings.home,
        run_key=planned.plan.run_key,
        agent_id=settings.agent_id,
        sandbox=settings.sandbox,
        oci_runtime=settings.runtime,
        allowance=Allowance(
            max_workers=settings.max_workers,
            model_block=blocks.model,
            spending=settings.spending,
            rates=settings.rates,
        ),
        watch=told_both(run_watcher(), standing.note),
        after_episode=episode_check(settings.home),
        shared=settings.dispatch == "deployment",
        workspace=workspace,
    ) as runtime:
        resolved = runtime.models.resolve(settings.model_id)
        runtime.note(resolved.reason)
        if not resolved.rehearsal:
            runtime.note(ceiling_sentence(settings))
        for weakness in runtime.provider.not_held:
            runtime.note(weakness)
        runtime.note(f"Run {runtime.run_key}, agent {settings.agent_id}")
        for sentence in idle(settings):
            runtime.note(sentence)
        solver = SolverSettings.of(
            settings, model_id=resolved.model_id, sandbox=runtime.provider.kind
        )
        if solver.profile.aided:
            runtime.models.make_ready()
            await runtime.models.share_pace(settings.model_id)
        await start_run(runtime, planned, settings, solver)
        if runtime.steering.now.paused:
            runtime.note(f"It is paused: `grindstone steer {runtime.run_key} --resume` goes on")
        async with (
            shown_live(standing, runtime.models.spent),
            _told_how_it_ends(runtime),
            ending_on_order(runtime.steering),
        ):
            yield Run(settings, blocks, planned, runtime, solver)


@contextlib.asynccontextmanager
async def _told_how_it_ends(runtime: Runtime) -> AsyncIterator[None]:
    """Note in the ledger how a run ended that could not say so itself."""

    async def end(
        status: Literal["failed", "interrupted", "stopped"], note: str, publish: bool
    ) -> None:
        if runtime.displaced.is_set():
            return  # who drives it now says how it ends
        await finish_run(runtime, status=status, note=note, publish=publish)

    try:
        with telling_server_loss(), step_boundary(run_step(runtime.run_key)):
            yield
    except InfrastructureError as error:
        await end("failed", str(error), error.cause is not Cause.PREFECT_SERVER)
        raise
    except CalledOffError as error:
        await end("interrupted", f"{error}; the same run key goes on", True)
        show_called_off()
        raise
    except BudgetExceededError as error:
        await end("stopped", str(error), True)
        raise
    except GrindstoneError as error:
        await end("failed", str(error), False)
        raise
    except (asyncio.CancelledError, CancelledRun, KeyboardInterrupt, TerminationSignal):
        shown = given_to_a_worker()  # a command's own server may be ending, too
        await end("interrupted", "it was called off; the same run key goes on", shown)
        raise


async def within_budget(work: Awaitable[object]) -> str:
    """Do a run's work; return which ceiling ended it early, empty when none did."""
    try:
        await work
    except BudgetExceededError as error:
        return str(error)
    return ""
