"""Slices that nobody finishes, and those that another process or another version had sent."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import pytest
from prefect.client.schemas.actions import WorkPoolUpdate
from prefect.client.schemas.objects import State, StateType
from prefect.flow_engine import run_flow_async
from prefect.settings import PREFECT_API_AUTH_STRING
from prefect.states import Completed, Crashed, Failed, Running
from prefect.workers.process import ProcessWorker
from support.sender import Sender

from grindstone import __version__
from grindstone.attempt.mailbox import SliceMailbox
from grindstone.attempt.run import error_episode
from grindstone.errors import Cause, InfrastructureError, InputError
from grindstone.flows.dispatch import sending
from grindstone.flows.dispatch.attempt_slice import AttemptSlice
from grindstone.flows.dispatch.slice_pool import SlicePool
from grindstone.flows.slices import attempt_slice
from grindstone.records import Episode, Outcome
from grindstone.runs import lease
from grindstone.runs.allowance import Allowance
from grindstone.steering import Order, give_order
from grindstone.tasks.flow_runs import run_tag

pytestmark = [pytest.mark.server, pytest.mark.bubblewrap, pytest.mark.timeout(120)]


async def test_an_attempt_is_an_error_when_four_workers_fell_silent(sender: Sender):
    over = asyncio.Event()

    async def take() -> None:  # as a worker does that is cut off as soon as it has begun
        while not over.is_set():
            for run in await sender.slices():
                if run.state is not None and run.state.is_scheduled():
                    await sender.client.set_flow_run_state(run.id, Running(), force=True)
            await asyncio.sleep(0.1)

    worker = asyncio.create_task(take())
    try:
        [episode] = await sender.send()
    finally:
        over.set()
        await worker
    assert (episode.outcome, episode.error_cause) == (Outcome.ERROR, Cause.WORKER_LOST)
    assert "no sign of life" in episode.error_detail
    runs = await sender.slices()
    assert [run.state_name for run in runs] == ["Crashed"] * 4
    given_up = {path.stem for path in (sender.runtime.folder.root / "slices").iterdir()}
    assert given_up == {str(run.id) for run in runs}, "should they live after all, they stop"


async def test_an_attempt_that_ends_its_worker_takes_no_others_along(sender: Sender):
    give_order(sender.runtime.folder, Order(max_workers=3), by="ann@desk", via="cli")
    await sender.runtime.steering.look()  # all in one slice
    working = asyncio.create_task(sender.send(*sender.trials(3)))
    while not working.done():
        for run in await sender.slices():
            if run.state is None or not run.state.is_scheduled():
                continue
            work = AttemptSlice.model_validate(run.parameters["work"])
            if any(spec.trial == 0 for spec in work.attempts):
                await sender.client.set_flow_run_state(run.id, Crashed(), force=True)
            else:
                await run_flow_async(attempt_slice, flow_run=run, parameters={"work": work})
        await asyncio.sleep(0.1)
    culprit, *others = await working
    assert (culprit.outcome, culprit.error_cause) == (Outcome.ERROR, Cause.WORKER_LOST)
    assert [episode.passed for episode in others] == [True, True]


async def test_what_a_dead_process_had_sent_is_waited_for(sender: Sender):
    spec, task = sender.item
    deployment = await sender.client.read_deployment_by_name("slice/slice")
    before = await sender.client.create_flow_run_from_deployment(
        deployment.id,
        parameters={
            "work": AttemptSlice(attempts=(spec,), allowance=Allowance()).model_dump(mode="json")
        },
        state=Running(),
        tags=[run_tag(spec.run_key)],
    )

    async def finish() -> None:
        async with lease.beating(sender.runtime.folder.pulse(str(before.id))):
            await asyncio.sleep(1.5)  # three times as long as silence is borne
            error = InfrastructureError(Cause.IMAGE_BUILD, "as the worker saw it")
            await sender.runtime.append([error_episode(spec, task, error, error.cause.value)])
            await sender.client.set_flow_run_state(before.id, Completed(), force=True)

    elsewhere = asyncio.create_task(finish())
    [episode] = await sender.send()
    await elsewhere
    assert "as the worker saw it" in episode.error_detail
    assert [run.id for run in await sender.slices()] == [before.id]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"version": "9.0"}, f"has Grindstone {__version__}, and the run that sent it .* 9.0"),
        ({"version": "9.0", "later": 1}, f"has Grindstone {__version__}, .* 9.0"),
        (
            {"later": 1},
            f"cannot read .*, though both sides are {__version__}",
        ),
    ],
    ids=["another version", "another form", "one version with two forms"],
)
async def test_a_worker_of_another_version_refuses_a_slice_in_one_sentence(
    sender: Sender, change: dict[str, object], why: str
):
    sending = asyncio.create_task(sender.send())
    [run] = await sender.sent(1)
    with contextlib.suppress(Exception):  # Prefect keeps it on the worker
        work = run.parameters["work"] | change
        await run_flow_async(attempt_slice, flow_run=run, parameters={"work": work})
    await sender.client.set_flow_run_state(run.id, Failed(), force=True)
    with pytest.raises(InputError, match=f"^worker .*{why}") as caught:
        async with asyncio.timeout(30):
            await sending
    assert len(str(caught.value).splitlines()) == 1
    assert len(await sender.slices()) == 1, "it is not tried again in vain"
    assert sender.runtime.ledger.rows(Episode) == [], "and costs no attempt"


@pytest.mark.parametrize("change", [{"version": "0.0.1"}, {"later": 1}])
async def test_what_another_version_had_sent_is_sent_anew(
    sender: Sender, change: dict[str, object]
):
    spec = sender.item.spec
    deployment = await sender.client.read_deployment_by_name("slice/slice")
    sent = AttemptSlice(attempts=(spec,), allowance=Allowance()).model_dump(mode="json") | change
    before = await sender.client.create_flow_run_from_deployment(
        deployment.id, parameters={"work": sent}, state=Running(), tags=[run_tag(spec.run_key)]
    )
    sending = asyncio.create_task(sender.send())
    await sender.sent(2)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    gone = await sender.client.read_flow_run(before.id)
    assert gone.state is not None
    assert gone.state.message == "Another version of Grindstone had sent it."
    assert sender.runtime.folder.pulse(str(before.id)).with_suffix(".given-up").exists()


@pytest.mark.drill
async def test_a_slice_on_its_way_is_seen_behind_hundreds_that_have_ended(sender: Sender):
    tags, key = [run_tag(sender.runtime.run_key)], sender.runtime.run_key
    deployment = await sender.client.read_deployment_by_name("slice/slice")
    pool = await SlicePool.of(sender.client, key)

    async def slices(count: int, state: State[None]) -> set[UUID]:
        made = [
            await sender.client.create_flow_run_from_deployment(
                deployment.id, state=state, tags=tags
            )
            for _ in range(count)
        ]
        return {run.id for run in made}

    going = await slices(2, Running())
    ended = await slices(200, Completed())  # a page of the server's
    assert {run.id for run in await pool.unfinished()} == going
    assert {run.id for run in await pool.slices(going | ended)} == going | ended


@pytest.mark.parametrize("displaced", [True, False])
async def test_who_lost_the_run_to_another_process_leaves_it_the_slices(
    sender: Sender, *, displaced: bool
):
    sending = asyncio.create_task(sender.send())
    await sender.sent(1)
    if displaced:
        sender.runtime.displaced.set()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    [run] = await sender.slices()
    states = {StateType.SCHEDULED} if displaced else {StateType.CANCELLING, StateType.CANCELLED}
    assert run.state_type in states


async def test_what_a_dead_process_had_handed_is_not_sent_again(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sending, "LOST_S", 60.0)
    given, handed, other = sender.trials(3)
    deployment = await sender.client.read_deployment_by_name("slice/slice")
    before = await sender.client.create_flow_run_from_deployment(
        deployment.id,
        parameters={
            "work": AttemptSlice(attempts=(given.spec,), allowance=Allowance()).model_dump(
                mode="json"
            )
        },
        state=Running(),
        tags=[run_tag(given.spec.run_key)],
    )
    pulse = sender.runtime.folder.pulse(str(before.id))
    assert SliceMailbox(pulse).hand([handed.spec])
    two = sender._replace(settings=sender.settings.model_copy(update={"max_slices": 2}))
    working = asyncio.create_task(two.send(given, handed, other))
    sent = [run for run in await sender.sent(2) if run.id != before.id]
    own = SliceMailbox(pulse)
    handed_in_all = [spec for _ in range(2) for spec in own.take()]
    new = [s for r in sent for s in AttemptSlice.model_validate(r.parameters["work"]).attempts]
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert [spec.trial for spec in (*handed_in_all, *new)] == [1, 2], "each once"


async def test_who_has_all_leaves_the_signs_of_another_ones_slices(sender: Sender):
    first, second = (asyncio.create_task(sender.send(each)) for each in sender.trials(2))
    runs = await sender.sent(2)
    about = {run.id: AttemptSlice.model_validate(run.parameters["work"]) for run in runs}
    done, going = sorted(runs, key=lambda run: about[run.id].attempts[0].trial)
    sign = sender.runtime.folder.pulse(str(going.id))
    given = {"parameters": {"work": about[going.id]}}
    async with lease.beating(sign):
        handed = SliceMailbox(sign)
        assert handed.hand(about[going.id].attempts)
        await run_flow_async(attempt_slice, flow_run=done, parameters={"work": about[done.id]})
        await first
        assert sign.exists()
        assert SliceMailbox(sign).take(), "what it was handed is still there"
        assert not sender.runtime.folder.pulse(str(done.id)).exists()
    await run_flow_async(attempt_slice, flow_run=going, **given)
    assert [episode.passed for episode in await second] == [True]


class Worker(NamedTuple):
    """A worker whose runs never begin: it starts a program that does nothing."""

    command: list[str]
    environ: dict[str, str]
    log: Path
    begun: "list[subprocess.Popen[bytes]]"

    def begin(self) -> None:
        """Begin its process, or another one of its name."""
        with self.log.open("ab") as log:
            self.begun.append(
                subprocess.Popen(
                    self.command,
                    env=self.environ,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def kill(self) -> None:
        """End its first process, and not what that has started."""
        self.begun[0].kill()


@pytest.fixture
async def worker(sender: Sender, prefect_server: str, tmp_path: Path) -> AsyncIterator[Worker]:
    template = ProcessWorker.get_default_base_job_template()
    template["job_configuration"]["command"] = "sleep 300"
    name = sender.runtime.run_key
    await sender.client.update_work_pool(name, WorkPoolUpdate(base_job_template=template))
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", name, "--name", name]
    environ = {"PREFECT_API_URL": prefect_server}
    environ |= {"PREFECT_API_AUTH_STRING": PREFECT_API_AUTH_STRING.value()}
    environ |= {"PREFECT_WORKER_HEARTBEAT_SECONDS": "1", "PREFECT_WORKER_QUERY_SECONDS": "1"}
    made = Worker(command, os.environ | environ, tmp_path / "worker.txt", [])
    made.begin()
    yield made
    for process in made.begun:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize("comes_back", [False, True], ids=["stays away", "comes back"])
async def test_a_slice_whose_worker_dies_before_it_begins_is_sent_again_at_once(
    sender: Sender, worker: Worker, monkeypatch: pytest.MonkeyPatch, *, comes_back: bool
):
    monkeypatch.setattr(sending, "LOST_S", 4.0)
    working = asyncio.create_task(sender.send())
    [sent] = await sender.sent(1)
    async with asyncio.timeout(60):
        while (await sender.slices())[0].infrastructure_pid is None:
            await asyncio.sleep(0.1)
    await asyncio.sleep(8)
    [taken] = await sender.slices()
    assert taken.state_type is StateType.PENDING, "a worker that lives is waited for"
    if comes_back:
        worker.begin()
        async with asyncio.timeout(60):
            while worker.log.read_text().count("started!") < 2:
                await asyncio.sleep(0.1)
    worker.kill()
    again = [run for run in await sender.sent(2) if run.id != sent.id]
    assert again[0].state_type in (StateType.SCHEDULED, StateType.PENDING)
    lost = await sender.client.read_flow_run(sent.id)
    why = "another process goes by its worker's name" if comes_back else "no sign of life"
    assert lost.state is not None and why in str(lost.state.message)
    assert sender.runtime.folder.pulse(str(sent.id)).with_suffix(".given-up").exists()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
