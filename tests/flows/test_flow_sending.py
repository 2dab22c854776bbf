"""What a run sends to a work pool, hands to slices at work, and leaves out."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.schemas.objects import State
from prefect.flow_engine import run_flow_async
from prefect.states import Completed, Scheduled, exception_to_failed_state
from support.sender import Sender
from support.viewer_home import command, conversation, keep_attempt

from grindstone.attempt.mailbox import SliceMailbox
from grindstone.attempt.run import error_episode
from grindstone.blocks import BlockNames
from grindstone.errors import BudgetExceededError, Cause, InfrastructureError, InputError
from grindstone.flows.attempt import Enough
from grindstone.flows.dispatch import sending
from grindstone.flows.dispatch.attempt_slice import AttemptSlice
from grindstone.flows.dispatch.sending import attempt_in_slices
from grindstone.flows.learning.confirmation import PlaceInRun, confirmed
from grindstone.flows.run import open_run
from grindstone.flows.slices import attempt_slice, require_own
from grindstone.llm import CallRecord
from grindstone.records import Episode, Role, Usage, utc_now
from grindstone.runs.allowance import Allowance
from grindstone.runs.progress import Progress, SentAway, Spent
from grindstone.steering import Order, give_order

pytestmark = [pytest.mark.server, pytest.mark.bubblewrap, pytest.mark.timeout(120)]


async def test_what_attempts_with_workers_used_is_told_as_they_end(sender: Sender):
    """The journal had a part of it when this process began."""
    spec, task = sender.item
    runtime = sender.runtime
    begun = CallRecord(
        call_id="c",
        run_key=spec.run_key,
        role=Role.SOLVER,
        scope=spec.episode_id,
        turn=0,
        model="claude",
        provider="anthropic",
        usage=Usage(input_tokens=100, output_tokens=5),
        cost_usd=0.01,
        started_at=utc_now(),
        duration_s=1.0,
    )
    runtime.calls[spec.episode_id]["c"] = begun
    runtime.models._books.meter.seed(begun)
    told: list[Progress] = []
    watched = sender._replace(runtime=replace(runtime, watch=told.append))
    sent = asyncio.create_task(watched.send())
    [run] = await sender.sent(1)
    while SentAway(1) not in told:
        await asyncio.sleep(0.05)
    error = InfrastructureError(Cause.IMAGE_BUILD, "as the worker saw it")
    used = {"usage": Usage(input_tokens=300, output_tokens=9), "cost_usd": 0.03}
    row = error_episode(spec, task, error, error.cause.value).model_copy(update=used)
    await runtime.append([row])
    await sender.client.set_flow_run_state(run.id, Completed(), force=True)
    await sent
    assert SentAway(0) in told
    [spent] = [event.spend for event in told if isinstance(event, Spent)]
    assert spent.usage == Usage(input_tokens=300, output_tokens=9)
    assert spent.cost_usd == pytest.approx(0.03)


async def test_a_slice_at_work_is_handed_what_waits(sender: Sender):
    wanted = sender.trials(3)
    sending = asyncio.create_task(sender.send(*wanted))
    [run] = await sender.sent(1)
    work = AttemptSlice.model_validate(run.parameters["work"])
    assert len(work.attempts) < len(wanted)
    await run_flow_async(attempt_slice, flow_run=run, parameters={"work": work})
    async with asyncio.timeout(30):
        episodes = await sending
    assert [episode.passed for episode in episodes] == [True] * 3
    assert [episode.trial for episode in episodes] == [0, 1, 2]
    assert [sent.id for sent in await sender.slices()] == [run.id], "no other one was needed"
    assert list(sender.runtime.folder.slices.iterdir()) == []


async def test_no_code_but_its_own_is_handed_to_a_slice(sender: Sender, tmp_path: Path):
    given, other = sender.trials(2)
    work = AttemptSlice(attempts=(given.spec,), allowance=Allowance())
    require_own(work, [given.spec, other.spec])
    solver = other.spec.solver.model_copy(update={"plugin": "os:system"})
    for update in ({"solver": solver}, {"run_key": "another"}, {"home": tmp_path / "elsewhere"}):
        with pytest.raises(InputError, match="handed to a slice it is none of"):
            require_own(work, [other.spec.model_copy(update=update)])
    deployment = await sender.client.read_deployment_by_name("slice/slice")
    run = await sender.client.create_flow_run_from_deployment(deployment.id)
    foreign = other.spec.model_copy(update={"solver": solver})
    assert SliceMailbox(sender.runtime.folder.pulse(str(run.id))).hand([foreign])
    with pytest.raises(InputError, match="handed to a slice it is none of"):
        await run_flow_async(attempt_slice, flow_run=run, parameters={"work": work})


async def test_a_slice_long_at_work_makes_room_for_others(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sending, "SLICE_S", 0.0)
    deployment = await sender.client.read_deployment_by_name("slice/slice")
    due: State[None] = Scheduled(scheduled_time=utc_now() - timedelta(seconds=5))
    await sender.client.create_flow_run_from_deployment(deployment.id, state=due)  # another's
    wanted = sender.trials(4)
    working = asyncio.create_task(sender.send(*wanted))
    done: set[UUID] = set()
    while not working.done():
        for run in await sender.slices():
            if run.id not in done:
                done.add(run.id)
                work = AttemptSlice.model_validate(run.parameters["work"])
                await run_flow_async(attempt_slice, flow_run=run, parameters={"work": work})
        await asyncio.sleep(0.1)
    assert [episode.passed for episode in await working] == [True] * 4
    assert len(done) > 1


async def test_what_is_not_needed_any_more_is_not_sent(sender: Sender):
    seen: list[str] = []

    def enough(episode: Episode) -> bool:
        seen.append(episode.episode_id)
        return len(seen) == 2

    wanted = sender.trials(20)
    send = attempt_in_slices(sender.runtime, wanted, sender.settings, None, Enough(enough))
    working = asyncio.create_task(send)
    [run] = await sender.sent(1)
    work = AttemptSlice.model_validate(run.parameters["work"])
    await run_flow_async(attempt_slice, flow_run=run, parameters={"work": work})
    made = await working
    assert len(seen) == len(made) < 20, "what was under way counts"
    assert len(await sender.slices()) == 1


async def test_a_paused_run_sends_nothing_until_it_goes_on(sender: Sender):
    folder = sender.runtime.folder
    give_order(folder, Order(paused=True), by="ann@desk", via="cli")
    await sender.runtime.steering.look()
    sending = asyncio.create_task(sender.send())
    await asyncio.sleep(1)
    assert await sender.slices() == []
    give_order(folder, Order(paused=False, max_workers=3), by="ann@desk", via="cli")
    async with asyncio.timeout(20):
        while not (sent := await sender.slices()):
            await asyncio.sleep(0.1)
    assert AttemptSlice.model_validate(sent[0].parameters["work"]).allowance.max_workers == 3
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending


async def test_what_a_ceiling_stopped_is_sent_again_once_that_one_is_raised(sender: Sender):
    async def order(**asked: Any) -> None:
        order = Order.model_validate(asked)
        give_order(sender.runtime.folder, order, by="ann@desk", via="cli")
        await sender.runtime.steering.look()

    first, second = sender.trials(2)
    one = sender._replace(settings=sender.settings.model_copy(update={"slice_size": 1}))
    sending = asyncio.create_task(one.send(first, second))
    [sent] = await sender.sent(1)
    await order(max_tokens_total=10, paused=True)
    error = BudgetExceededError("it is spent", ceiling="max_tokens_total", limit=10)
    SliceMailbox(sender.runtime.folder.pulse(str(sent.id))).tell_end(error)
    stopped = await exception_to_failed_state(error)
    await sender.client.set_flow_run_state(sent.id, stopped, force=True)
    await asyncio.sleep(1)
    assert not sending.done(), "a paused run does not end: its ceiling may yet be raised"
    assert len(await sender.slices()) == 1
    await order(max_tokens_total=1000, paused=False)  # it was sent when there was none
    again = [run for run in await sender.sent(2) if run.id != sent.id]
    [work] = [AttemptSlice.model_validate(run.parameters["work"]) for run in again]
    assert work.allowance.spending.max_tokens_total == 1000
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending


async def test_a_run_ends_by_a_ceiling_that_stays(sender: Sender):
    sending = asyncio.create_task(sender.send())
    [sent] = await sender.sent(1)
    error = BudgetExceededError("it is spent", ceiling="max_tokens_total", limit=10)
    give_order(sender.runtime.folder, Order(max_tokens_total=10), by="ann@desk", via="cli")
    await sender.runtime.steering.look()
    SliceMailbox(sender.runtime.folder.pulse(str(sent.id))).tell_end(error)
    stopped = await exception_to_failed_state(error)
    await sender.client.set_flow_run_state(sent.id, stopped, force=True)
    with pytest.raises(BudgetExceededError, match="it is spent"):
        async with asyncio.timeout(20):
            await sending


async def test_failures_in_doubt_are_tried_again_in_one_slice(sender: Sender):
    names = ["crlf-kit", "plain-inventory", "merged-timeline"]
    given = {"run_key": f"{sender.runtime.run_key}-doubt", "task_ids": names}
    given |= {"dispatch": "deployment", "max_slices": 1, "max_workers": len(names)}
    async with open_run("grind", sender.settings.model_copy(update=given), BlockNames()) as run:
        refused = conversation("it", [command(2, "curl x", "Connection refused", exit_code=7)])
        for name in names:
            keep_attempt(run.ledger, run.key, name, refused, passed=False)
        place = PlaceInRun(run.base, batch=1, cycle=1)
        failed = run.ledger.rows(Episode, run.key)
        working = asyncio.create_task(confirmed(run, failed, run.planned.tasks, place))
        [sent] = await sender._replace(runtime=run.runtime).sent(1)
        work = AttemptSlice.model_validate(sent.parameters["work"])
        assert sorted(spec.task_id for spec in work.attempts) == sorted(names)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
