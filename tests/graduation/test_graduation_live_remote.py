"""Live work on a home in object storage: cut off on one machine, settled by another one, once."""

import asyncio
import signal
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from graduation_support import START
from live_process import cannot_be_elsewhere, filing
from pydantic import JsonValue
from support.object_storage import Bucket, GoTo, Spoiled, serving_s3

from grindstone.errors import InputError
from grindstone.graduation import GraduationService, log_session
from grindstone.graduation.intake.live import LiveTool
from grindstone.graduation.intake.recording import RecordedAction, SessionAction, SessionEnd, Work
from grindstone.graduation.intake.under_way import cut_off_actions, under_way
from grindstone.graduation.rules.levels import ActionClass
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.ledger.tables.autonomy import LiveActionRow
from grindstone.llm.messages import ToolSpec
from grindstone.records import Episode
from grindstone.runs import home_copy, remote_lock
from grindstone.runs.home_copy import copy_home
from grindstone.settings import GraduationSettings

pytestmark = pytest.mark.slow

BEAT_S, LOST_S = 0.2, 3.0


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with serving_s3(tmp_path_factory.mktemp("s3")) as bucket:
        yield bucket


@pytest.fixture(autouse=True)
def _quick_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (remote_lock, home_copy):
        monkeypatch.setattr(module, "BEAT_S", BEAT_S)
    monkeypatch.setattr(remote_lock, "LOST_S", LOST_S)


@pytest.fixture
def machines(home_at: GoTo, tmp_path: Path) -> GoTo:
    """The same, where a process on a machine of another name is wanted besides."""
    if why := cannot_be_elsewhere():
        pytest.skip(why)
    return home_at


def stored(home: Home, prefix: str) -> list[str]:
    assert home.mirror is not None
    return [entry.name for entry in home.mirror.store.listed(prefix)]


async def test_a_machine_that_dies_at_work_is_waited_for_and_settled_once_by_empty_ones(
    machines: GoTo, tmp_path: Path
):
    one = machines("one")
    away = {"GRINDSTONE_CACHE_DIR": str(tmp_path / "elsewhere")}
    with filing(one.place, BEAT_S, LOST_S, elsewhere=away):
        service = GraduationService(one)
        assert await service.settle_cut_off() == ()
        assert [each.at_work for each in cut_off_actions(service.registry)] == [True]
    killed = time.monotonic()
    assert [each.at_work for each in cut_off_actions(service.registry)] == [False]
    others = [GraduationService(machines(name)) for name in ("two", "three")]
    told = await asyncio.gather(*(other.settle_cut_off() for other in others))
    assert time.monotonic() - killed > LOST_S
    [sentence] = [sentence for each in told for sentence in each]
    assert sentence.startswith(
        "ada: live task task-1 was cut off with its process after file, file"
    )
    last = GraduationService(machines("four"))
    assert await last.settle_cut_off() == ()
    ledger = last.registry.ledger
    (episode,) = ledger.rows(Episode)
    assert (episode.episode_id, episode.passed, episode.tool_calls) == ("task-1", False, 2)
    assert len(stored(one, "ledger/episodes")) == 1
    ended = [row for row in ledger.rows(LiveActionRow) if row.phase == "ended"]
    assert {row.position: row.status for row in ended} == {0: "done", 1: "cut off"}
    assert stored(one, "live") == []


async def test_a_process_that_hung_and_was_settled_stops_and_adds_nothing(
    machines: GoTo, tmp_path: Path
):
    one = machines("one")
    away = {"GRINDSTONE_CACHE_DIR": str(tmp_path / "elsewhere")}
    with filing(one.place, BEAT_S, LOST_S, elsewhere=away) as process:
        process.send_signal(signal.SIGSTOP)
        assert len(await GraduationService(machines("two")).settle_cut_off()) == 1
        process.send_signal(signal.SIGCONT)
        said, _ = await asyncio.to_thread(process.communicate, timeout=30)
    lost, taken = said.splitlines()
    assert lost.startswith("live task task-1 was called off, for its lock is lost: live/task-1")
    assert "task-1 of ada was ended by another process" in taken
    (episode,) = Ledger(machines("three")).rows(Episode)
    assert episode.metadata["ended_by"] == "its process was gone"
    assert stored(one, "live") == []


@pytest.mark.parametrize("remote", [False, True])
async def test_what_had_ended_is_kept_by_the_next_one_as_it_ended(
    remote: bool, home_at: GoTo, tmp_path: Path
):
    """Its process dies between the end of the work and the episode."""
    home = home_at("one") if remote else Home.at(tmp_path / "home")
    registry = GraduationService(home).registry
    begun = Work(agent_id="ada", episode_id="task.2", title="t", success=False, started_at=START)
    done = begun.model_copy(update={"success": True, "actions": (RecordedAction(text="Done."),)})
    async with under_way(registry, begun, "live-ada-202601") as task:
        with pytest.raises(InputError, match=r"task.2: is being run by another process"):
            async with under_way(registry, begun, "live-ada-202601"):
                pass
        with pytest.raises(InputError, match=r"is in use by live task task.2; expected"):
            copy_home(home.place, str(tmp_path / "copy"))
        task.look()
        task.end(done)
    service = GraduationService(home_at("two") if remote else home)
    (told,) = await service.settle_cut_off()
    assert told.startswith("ada: live task task.2 had ended, and its process before it was kept")
    (episode,) = service.registry.ledger.rows(Episode)
    assert episode.passed
    assert await service.settle_cut_off() == ()
    with pytest.raises(InputError, match=r"task.2: is a live task that has ended"):
        async with under_way(service.registry, begun, "live-ada-202601"):
            pass
    assert not list(service.registry.home.live_tasks.iterdir())


async def test_a_session_is_logged_by_many_and_becomes_an_episode_anywhere(
    s3: Bucket, home_at: GoTo, monkeypatch: pytest.MonkeyPatch
):
    with Spoiled(s3, rate=0.1, seed=5) as spoiled:
        home_at("one")
        monkeypatch.setenv("AWS_ENDPOINT_URL", spoiled.bucket.endpoint)
        homes = [home_at(name) for name in ("one", "two")]

        def log(number: int) -> None:
            line = SessionAction(type="action", tool="quote", fields={"no": number}, at=START)
            log_session(homes[number % 2], "s/1", line)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(log, range(20)))
        log_session(homes[0], "s/1", SessionEnd(type="end", success=True, at=START))
        assert spoiled.spoiled
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    service = GraduationService(home_at("three"))
    episode = await service.create_episode_from_session("s/1", "ada", "A sale")
    assert (episode.passed, episode.tool_calls) == (True, 20)


@pytest.mark.server
async def test_an_agent_works_live_from_a_machine_that_has_nothing(
    home_at: GoTo, prefect_server: str
):
    from grindstone.flows.live import live

    async def price(arguments: Mapping[str, JsonValue]) -> str:
        return "9.99"

    look = ToolSpec(name="price", description="Tells a price.", input_schema={"type": "object"})
    tools = [LiveTool(look, ActionClass.PRESENT, price)]
    settings = GraduationSettings.model_validate(
        {"work_dir": home_at("one").place, "agent_id": "ada", "model_id": "rehearsal"}
    ).model_copy(update={"run_key": "live-1"})
    result = await live("Say what a tractor costs.", tools, settings)
    assert result.offered == ("price",)
    there = home_at("two")
    assert GraduationService(there).registry.episode("live-1").maturity == "STUDENT"
    assert stored(there, "live") == []
    with pytest.raises(InputError, match="live-1: is a live task that has ended"):
        await live("Say what a tractor costs.", tools, settings)
