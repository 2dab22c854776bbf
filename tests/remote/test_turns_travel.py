"""One run at a time changes an agent, over machines that share a remote home and nothing else."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.object_storage import Bucket, Spoiled

from grindstone.home import Home
from grindstone.runs import remote_lock
from grindstone.runs.progress import Note, Progress
from grindstone.runs.turns import AgentTurn
from grindstone.tasks.turns import turn_with

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

HOLD = """
import sys, time
from grindstone.home import Home
from grindstone.runs import remote_lock
from grindstone.runs.turns import AgentTurn

remote_lock.BEAT_S, remote_lock.LOST_S = 0.2, 3.0
turn = AgentTurn(Home.at(sys.argv[1]), "fred", sys.argv[2])
assert turn.take(lost=lambda _: print("lost", flush=True))
print("held", flush=True)
time.sleep(60)
"""

Holds = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_lock, "BEAT_S", 0.2)
    monkeypatch.setattr(remote_lock, "LOST_S", 3.0)


@pytest.fixture
def home(
    s3: Bucket, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Home]:
    """The home as this machine sees it; storage answers a share of requests with 503."""
    with Spoiled(s3, rate=0.05, seed=2) as spoiled:
        monkeypatch.setenv("AWS_ENDPOINT_URL", spoiled.bucket.endpoint)
        yield Home.at(address)


@pytest.fixture
def holds(home: Home, tmp_path: Path) -> Iterator[Holds]:
    """Has a process on another machine take the turn with fred, for a run."""
    begun: list[subprocess.Popen[str]] = []

    def start(run_key: str) -> "subprocess.Popen[str]":
        assert home.mirror is not None
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, home.mirror.store.url, run_key],
            env=os.environ | {"GRINDSTONE_CACHE_DIR": str(tmp_path / "elsewhere")},
            stdout=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in begun:
        process.kill()
        process.communicate()


async def test_a_run_waits_for_one_on_another_machine_and_follows_when_that_is_killed(
    home: Home, holds: Holds
):
    other, told = holds("first"), list[Progress]()

    async def second() -> None:
        async with turn_with(home, "fred", "second", told.append):
            pass

    running = asyncio.create_task(second())
    while not told:
        await asyncio.sleep(0.1)
        assert not running.done()
    other.kill()
    other.wait()
    await asyncio.wait_for(running, 30)
    [waits, begins] = told
    assert isinstance(waits, Note)
    assert waits.text.startswith(f"Waits for run first (process {other.pid} on ")
    assert begins == Note("fred is free: the run begins")


async def test_a_run_that_once_had_the_turn_here_waits_all_the_same(home: Home, holds: Holds):
    """Who last had it on this machine says nothing about who has it now."""
    turn = AgentTurn(home, "fred", "resumed")
    assert await asyncio.to_thread(turn.take)
    with turn:
        pass
    holds("first")
    began = asyncio.Event()

    async def resumed() -> None:
        async with turn_with(home, "fred", "resumed", lambda _: None):
            began.set()

    running = asyncio.create_task(resumed())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(began.wait(), 3)
    running.cancel()
    await asyncio.wait([running])


async def test_of_two_that_wait_for_a_dead_machine_one_follows(home: Home):
    """Who is a moment later must not take the turn from who has just taken it."""
    assert home.mirror is not None
    dead = remote_lock.Holding(number=4, holder="dead", host="elsewhere").model_dump_json()
    home.mirror.store.put(home.mirror.name_of(home.turn("fred")), dead.encode())
    lost: list[int] = []

    def take(number: int) -> str:
        lock = remote_lock.RemoteLock(home.mirror, home.turn("fred"))
        try:
            with lock.hold(wait=False, lost=lambda _: lost.append(number)):
                time.sleep(2.0)
                return "held"
        except TimeoutError:
            return "waits"

    found = await asyncio.gather(*(asyncio.to_thread(take, number) for number in range(3)))
    assert sorted(found) == ["held", "waits", "waits"]
    assert lost == []


async def test_a_holder_that_hangs_loses_the_turn_and_is_told(home: Home, holds: Holds):
    other, turn = holds("first"), AgentTurn(home, "fred", "second")
    other.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    while not await asyncio.to_thread(turn.take):
        assert time.monotonic() - begun < 30
    with turn:
        other.send_signal(signal.SIGCONT)
        assert other.stdout is not None
        line = await asyncio.wait_for(asyncio.to_thread(other.stdout.readline), 20)
        assert line == "lost\n"
        holder = await asyncio.to_thread(turn.holder)
        assert holder is not None
        assert holder.run_key == "second"


async def test_a_run_that_loses_the_turn_is_called_off(home: Home):
    async def run() -> None:
        async with turn_with(home, "fred", "first", lambda _: None):
            held.set()
            await asyncio.sleep(60)

    held, mirror = asyncio.Event(), home.mirror
    running = asyncio.create_task(run())
    await held.wait()
    assert mirror is not None
    name = mirror.name_of(home.turn("fred"))
    other = remote_lock.Holding(number=9, holder="another", host="elsewhere")
    await asyncio.to_thread(mirror.store.put, name, other.model_dump_json().encode())
    with pytest.raises(
        asyncio.CancelledError,
        match=r"turn with fred is lost: .*: another machine, elsewhere, has taken it",
    ):
        await asyncio.wait_for(running, 20)


@pytest.mark.parametrize("spoil", ["removed", "damaged"])
def test_a_lock_that_a_person_spoils_is_written_anew_by_its_holder(home: Home, spoil: str):
    mirror = home.mirror
    assert mirror is not None
    name, lost = mirror.name_of(home.turn("fred")), list[str]()
    lock = remote_lock.RemoteLock(mirror, home.turn("fred"))
    with lock.hold(lost=lost.append):
        if spoil == "removed":
            mirror.store.delete(name)
        else:
            mirror.store.put(name, b"free, I think")
        time.sleep(6 * remote_lock.BEAT_S)
        with pytest.raises(TimeoutError, match="is held by"), lock.hold(wait=False):
            pass
        assert lost == []
        other = remote_lock.Holding(number=9, holder="another", host="elsewhere")
        mirror.store.put(name, other.model_dump_json().encode())
        time.sleep(6 * remote_lock.BEAT_S)
        assert lost == [f"{name}: another machine, elsewhere, has taken it"]
    assert lock.read().holder == "another"
