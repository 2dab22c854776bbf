"""One agent tries one task once: the subflow everything else is composed of."""

import asyncio
import itertools
from collections.abc import Sequence
from typing import Literal, NamedTuple

from prefect import flow, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterIdempotencyKey
from prefect.deployments import arun_deployment
from prefect.states import Cancelling, araise_state_exception

from grindstone.attempt.record import record_attempt
from grindstone.attempt.run import AttemptResources, AttemptResult, error_episode
from grindstone.attempt.run import attempt as make_attempt
from grindstone.attempt.spec import AttemptSpec
from grindstone.benchmark import Task
from grindstone.boundary import step_boundary
from grindstone.errors import InfrastructureError
from grindstone.home import Home
from grindstone.records import Episode, Outcome, utc_now
from grindstone.runs.incidents import spared
from grindstone.runs.progress import AttemptBegan, AttemptEnded
from grindstone.tasks.episode_check import episode_check
from grindstone.tasks.flow_runs import rename_run, run_tag
from grindstone.tasks.publish import publish_trajectory
from grindstone.tasks.runtime import Runtime, open_runtime, runtime_of
from grindstone.tasks.step import kept, step

DEPLOYMENT = "attempt/attempt"
"""The deployment attempts are sent to when they run on a work pool."""

Dispatch = Literal["inline", "deployment"]


class PlannedAttempt(NamedTuple):
    """An attempt to make, with the task it is at."""

    spec: AttemptSpec
    task: Task


@flow(
    name="attempt",
    flow_run_name="{spec.label}",
    persist_result=True,
    result_serializer="json",
    cache_result_in_memory=False,
)
async def attempt(spec: AttemptSpec) -> Episode:
    """Try one task once in a fresh sandbox and leave an episode and a trajectory.

    Below a run it uses what the run holds open; on a worker it opens its own.
    """
    runtime = runtime_of(spec.run_key)
    if runtime is not None:
        runtime.started(spec.episode_id)
        return await _attempt(spec, runtime)
    home = Home.at(spec.home)
    async with open_runtime(
        home=home,
        run_key=spec.run_key,
        agent_id=spec.agent_id,
        sandbox=spec.solver.sandbox,
        oci_runtime=spec.solver.runtime,
        model_block=spec.model_block,
        spending=spec.spending,
        after_episode=episode_check(home),
        whole=False,
    ) as own:
        return await _attempt(spec, own)


async def _attempt(spec: AttemptSpec, runtime: Runtime) -> Episode:
    known = runtime.scored.get(spec.episode_id)
    if known is not None:  # the process ended between the ledger and the step's result
        runtime.folder.command_log(spec.episode_id).unlink(missing_ok=True)
        await runtime.has_scored(known)
        return known

    async def make() -> AttemptResult:
        return await make_attempt(spec, await _resources(spec, runtime))

    with step_boundary(_step(spec), episode_id=spec.episode_id):
        runtime.tell(AttemptBegan(spec.task_id))
        try:
            attempted = await record_attempt(
                runtime.ledger, runtime.folder, spec.episode_id, make, runtime.models.mask
            )
        finally:
            await runtime.record_calls()
    runtime.folder.command_log(spec.episode_id).unlink(missing_ok=True)
    with spared(f"trajectory of {spec.label}"):
        await publish_trajectory(attempted)
    await runtime.has_scored(attempted.episode, attempted)
    ended = _scored(attempted)
    runtime.tell(ended)
    with spared(f"name of {spec.label}"):
        await rename_run(f"{ended.outcome.mark} {spec.label} · {ended.detail}")
    return attempted.episode


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


def _scored(attempted: AttemptResult) -> AttemptEnded:
    episode = attempted.episode
    tests = f"{episode.tests_passed}/{episode.tests_total} tests"
    subject = f"{episode.task_id} ({episode.arm})" if episode.arm else episode.task_id
    return AttemptEnded(subject, episode.outcome, tests, episode.cycle)


@step("attempt-once", "{spec.label}")
async def _attempt_once(spec: AttemptSpec, dispatch: Dispatch) -> Episode:
    if dispatch == "deployment":
        return await _attempt_elsewhere(spec)
    runtime = runtime_of(spec.run_key)
    if runtime is None:
        return await attempt(spec)
    async with runtime.start(spec.episode_id):
        return await attempt(spec)


async def _attempt_elsewhere(spec: AttemptSpec) -> Episode:
    """Have a worker make the attempt, and wait for its episode.

    The key lets a resumed run find the attempt a worker is still making; one that failed
    before this try began is found too, and passed over.
    """
    runtime = runtime_of(spec.run_key)
    taken_along = {"spending": runtime.spending} if runtime is not None else {}
    began = utc_now()
    for number in itertools.count():
        key = f"{spec.run_key}-{spec.episode_id}-{number}"
        try:
            run = await arun_deployment(
                DEPLOYMENT,
                parameters={"spec": spec.model_copy(update=taken_along).model_dump(mode="json")},
                idempotency_key=key,
                tags=[run_tag(spec.run_key)],
            )
        except asyncio.CancelledError:
            await _call_off(key)
            raise
        assert run.state is not None
        if run.state.is_completed():
            return Episode.model_validate(await run.state.aresult())
        if run.created is None or run.created >= began:
            await araise_state_exception(run.state)
    raise AssertionError("unreachable")


async def _call_off(key: str) -> None:
    """Cancel an attempt on a worker, which Prefect would let run when its parent is cancelled."""
    wanted = FlowRunFilter(idempotency_key=FlowRunFilterIdempotencyKey(any_=[key]))
    async with get_client() as client:
        for run in await client.read_flow_runs(flow_run_filter=wanted):
            if run.state is not None and not run.state.is_final():
                await client.set_flow_run_state(run.id, Cancelling())


async def attempt_once(
    spec: AttemptSpec, slots: asyncio.Semaphore, dispatch: Dispatch = "inline"
) -> Episode:
    """Make an attempt, or return the episode this run already has of it.

    The subflow is called from a cached task because a retried parent that calls subflows in
    parallel can be handed another child's result.

    Args:
        spec: What to try; its identity is the cache key.
        slots: How many attempts may run at once.
        dispatch: Here, or on a work pool.
    """
    async with slots:
        return await kept(_attempt_once, spec.home, spec.run_key)(spec, dispatch)


async def attempt_all(
    runtime: Runtime,
    wanted: Sequence[PlannedAttempt],
    slots: asyncio.Semaphore,
    dispatch: Dispatch = "inline",
) -> list[Episode]:
    """Make attempts side by side; what kept one from a score costs that attempt alone.

    Args:
        runtime: The run's resources.
        wanted: What to try, each once.
        slots: How many attempts may run at once.
        dispatch: Here, or on a work pool.

    Returns:
        Their episodes, in the order asked for.

    Raises:
        BudgetExceededError: A ceiling was reached; the attempts already begun have ended.
        InputError: A task is broken, or changed since the run was planned.
    """

    async def one(item: PlannedAttempt) -> Episode:
        try:
            # Here once more, for what the step itself stumbles over: an answer that is no
            # episode, a result that cannot be kept.
            with step_boundary(_step(item.spec), episode_id=item.spec.episode_id):
                return await attempt_once(item.spec, slots, dispatch)
        except InfrastructureError as error:
            episode = error_episode(item.spec, item.task, error, error.cause.value)
            await runtime.append([episode])
            runtime.tell(
                AttemptEnded(item.task.task_id, Outcome.ERROR, str(error), item.spec.cycle)
            )
            return episode

    results = await asyncio.gather(*(one(item) for item in wanted), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if isinstance(result, Episode)]
