"""One agent tries one task once: the subflow everything else is composed of."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, cast

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from grindstone.agents.profiles import Profile
from grindstone.attempt.record import record_attempt
from grindstone.attempt.run import AttemptResources, AttemptResult, error_episode
from grindstone.attempt.run import attempt as make_attempt
from grindstone.attempt.spec import AttemptSpec
from grindstone.benchmark import Task
from grindstone.boundary import step_boundary
from grindstone.errors import BudgetExceededError, InfrastructureError
from grindstone.records import Episode, Outcome
from grindstone.runs.incidents import spared
from grindstone.runs.parked import Parked
from grindstone.runs.progress import AttemptBegan, AttemptEnded, Note
from grindstone.runs.steered import lifted
from grindstone.tasks.artifacts import viewer_path
from grindstone.tasks.flow_runs import NOT_PASSED, rename_run, run_log
from grindstone.tasks.publish import publish_trajectory, trajectory_key
from grindstone.tasks.runtime import Runtime, current_runtime
from grindstone.tasks.step import kept, step
from grindstone.telemetry.recorded import send_attempt


class PlannedAttempt(NamedTuple):
    """An attempt to make, with the task it is at."""

    spec: AttemptSpec
    task: Task


class Enough:
    """Whether the attempts that have not begun may be left out; asked as each one ends.

    Attributes:
        met: Whether they may; once so, for good.
        possible: Whether it can come to that.
    """

    def __init__(
        self, asked: Callable[[Episode], bool] | None = None, *, possible: bool = True
    ) -> None:
        """Take who is asked.

        Args:
            asked: Told of the episode of what has ended; None: all are made.
            possible: False: it is told alone, and never says yes.
        """
        self._asked = asked
        self.met = False
        self.possible = possible and asked is not None

    def see(self, episode: Episode) -> None:
        """Ask."""
        if self._asked is not None:
            self.met = self._asked(episode) or self.met


@flow(
    name="attempt",
    flow_run_name="{spec.label}",
    persist_result=True,
    result_serializer="json",
    cache_result_in_memory=False,
)
async def attempt(spec: AttemptSpec) -> Episode:
    """Try one task once in a fresh sandbox and leave an episode and a trajectory."""
    runtime = current_runtime()
    runtime.started(spec.episode_id)
    episode = await _attempt(spec, runtime)
    ended = told(episode)
    with spared(f"name of {spec.label}"):
        await rename_run(f"{ended.outcome.mark} {spec.label} · {ended.detail}")
    return _shown(episode, ended)


def _shown(episode: Episode, ended: AttemptEnded) -> Episode:
    """Return the episode as a flow hands it over, under a state that says when it is no success.

    The work was done, so the type stays Completed: neither retries nor alarms about failed
    runs are for an agent that was wrong.
    """
    if ended.outcome is not Outcome.FAILED:
        return episode
    state: State[Episode] = Completed(name=NOT_PASSED, message=ended.detail, data=episode)
    return cast("Episode", state)  # Prefect gives the caller what the state holds


async def _attempt(spec: AttemptSpec, runtime: Runtime) -> Episode:
    known = runtime.scored.get(spec.episode_id)
    if known is not None:  # the process ended between the ledger and the step's result
        runtime.folder.command_log(spec.episode_id).unlink(missing_ok=True)
        await runtime.has_scored(known)
        return known

    async def make() -> AttemptResult:
        return await make_attempt(spec, await _resources(spec, runtime))

    with step_boundary(_step(spec), episode_id=spec.episode_id):
        runtime.tell(AttemptBegan(spec.task_id, spec.episode_id))
        try:
            attempted = await record_attempt(
                runtime.ledger, runtime.folder, spec.episode_id, make, runtime.models.mask
            )
        finally:
            await runtime.record_calls()
    runtime.folder.command_log(spec.episode_id).unlink(missing_ok=True)
    calls = runtime.calls_of(spec.episode_id)
    send_attempt(runtime.outlet, attempted.episode, attempted.trajectory, calls)
    with spared(f"trajectory of {spec.label}"):
        await publish_trajectory(attempted)
    await runtime.has_scored(attempted.episode, attempted)
    runtime.tell(told(attempted.episode))
    with spared(f"log of {spec.label}"):
        await _tell_where_to_read(attempted.episode)
    return attempted.episode


async def _tell_where_to_read(episode: Episode) -> None:
    """Say in the attempt's own log how it ended, and where a person reads why."""
    log = run_log()
    log(told(episode))
    place = await viewer_path("episode", episode.episode_id)
    where = f", or {place} of this server" if place else ""
    log(Note(f"Why: {trajectory_key(episode.task_id)}, under Artifacts{where}"))


def _step(spec: AttemptSpec) -> str:
    return f"attempt {spec.label}"


async def _resources(spec: AttemptSpec, runtime: Runtime) -> AttemptResources:
    solver = spec.solver
    return AttemptResources(
        provider=runtime.provider,
        model=runtime.models.get(solver.model_id, solver.region) if solver.profile.aided else None,
        workspace=await runtime.snapshot(spec.workspace_commit),
        calls_of=runtime.calls_of,
        command_log=runtime.folder.command_log(spec.episode_id)
        if solver.profile.remembered
        else None,
        mask=runtime.models.mask,
    )


def told(episode: Episode) -> AttemptEnded:
    """Return what is told of an attempt: its tests or reward, or what kept it from a score."""
    unscored = episode.outcome is Outcome.ERROR
    subject = f"{episode.task_id} ({episode.arm})" if episode.arm else episode.task_id
    detail = episode.error_detail if unscored else episode.graded
    program = episode.profile.partition(" ")[0] == Profile.COMMAND
    if program and not unscored and not episode.turns:
        detail += ", its model was not asked"
    return AttemptEnded(subject, episode.outcome, detail, episode.cycle, episode.episode_id)


@step("attempt-once", "{spec.label}")
async def _attempt_once(spec: AttemptSpec) -> Episode:
    async with current_runtime().start(spec.episode_id):
        # Its result goes where this step's goes. For a storage of its own Prefect makes a client,
        # with all the machine's certificates, twice an attempt.
        return await attempt(spec)


async def attempt_once(spec: AttemptSpec) -> Episode:
    """Make an attempt, or return the episode this run already has of it.

    The subflow is called from a cached task because a retried parent that calls subflows in
    parallel can be handed another child's result.

    Args:
        spec: What to try; its identity is the cache key.
    """
    async with current_runtime().steering.slots:
        return await _made(spec)


async def _made(spec: AttemptSpec) -> Episode:
    return await kept(_attempt_once, spec.home, spec.run_key)(spec)


async def attempt_all(
    runtime: Runtime,
    wanted: Sequence[PlannedAttempt],
    parked: Parked | None = None,
    enough: Enough | None = None,
) -> list[Episode]:
    """Make attempts side by side; what kept one from a score costs that attempt alone.

    As long as others are being made, one without a score can be ordered to be made again, and
    one that a ceiling ended is made again when the ceiling is raised.

    Args:
        runtime: The run's resources.
        wanted: What to try, each once.
        parked: Where one without a score waits for an order; None: for these attempts alone.
        enough: What may leave out those that have not begun; None: all are made.

    Returns:
        The episodes of those that were made, in the order asked for.

    Raises:
        BudgetExceededError: A ceiling was reached; the attempts already begun have ended.
        InputError: A task is broken, or changed since the run was planned.
    """
    steering, enough = runtime.steering, enough or Enough()
    parked = parked or Parked(steering)
    parked.begin(len(wanted))

    async def once(item: PlannedAttempt) -> Episode | None:
        try:
            async with steering.slots:
                if enough.met:
                    return None
                # Here once more, for what the step itself stumbles over: an answer that is no
                # episode, a result that cannot be kept.
                with step_boundary(_step(item.spec), episode_id=item.spec.episode_id):
                    return await _made(item.spec)
        except InfrastructureError as error:
            return await leave_unscored(runtime, item, error)

    def is_lifted(stop: BudgetExceededError) -> bool:
        return lifted(stop, steering.ceilings)

    async def one(item: PlannedAttempt) -> Episode | None:
        while True:
            seen = steering.now.retried
            try:
                episode = await once(item)
            except BudgetExceededError as stop:
                if await parked.again(partial(is_lifted, stop)):
                    continue
                raise
            except BaseException:
                parked.done()
                raise
            if episode is None or episode.passed is not None:
                parked.done()
                break
            if not await parked.again(lambda: steering.now.retried > seen):  # noqa: B023
                break
        if episode is not None:
            enough.see(episode)
        return episode

    results = await asyncio.gather(*(one(item) for item in wanted), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if isinstance(result, Episode)]


async def leave_unscored(
    runtime: Runtime, item: PlannedAttempt, error: InfrastructureError
) -> Episode:
    """Record and tell that an attempt has no score, and why."""
    episode = error_episode(item.spec, item.task, error, error.cause.value)
    await runtime.append([episode])
    send_attempt(runtime.outlet, episode, None, runtime.calls_of(episode.episode_id))
    place = (item.spec.cycle, item.spec.episode_id)
    runtime.tell(AttemptEnded(item.task.task_id, Outcome.ERROR, str(error), *place))
    return episode
