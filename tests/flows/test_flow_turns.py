"""Two runs on one agent, what shows where a run stands, and what a run is called."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from prefect import flow, get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterId,
)
from prefect.context import FlowRunContext

from grindstone.errors import InputError
from grindstone.home import Home
from grindstone.llm.budget import Spend
from grindstone.records import Outcome
from grindstone.runs.progress import Advanced, AttemptBegan, AttemptEnded, Progress, RunBegan
from grindstone.runs.standing import RunStanding
from grindstone.runs.turns import AgentTurn
from grindstone.settings import (
    AdaptiveSettings,
    CalibrateSettings,
    CompareSettings,
    GateSettings,
    GrindSettings,
    OneTaskSettings,
    RunSettings,
)
from grindstone.tasks import turns
from grindstone.tasks.flow_runs import name_run, named
from grindstone.tasks.live_page import shown_live
from grindstone.tasks.turns import turn_with

HOLD = """
import sys, time
from grindstone.home import Home
from grindstone.runs.turns import AgentTurn
turn = AgentTurn(Home.at(sys.argv[1]), "fred", "first")
assert turn.take()
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that has the turn with fred."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.server
async def test_a_run_says_for_whom_it_waits_and_goes_on_when_that_one_is_killed(
    prefect_server: str, tmp_path: Path, holder: "subprocess.Popen[str]"
):
    told: list[str] = []
    seen: list[tuple[str, str]] = []

    def watch(event: Progress) -> None:
        told.append(event.text)  # type: ignore[union-attr]

    @flow(name="second")
    async def second() -> Any:
        async with turn_with(Home.at(tmp_path), "fred", "second", watch):
            async with turn_with(Home.at(tmp_path), "fred", "within it", watch):
                pass
            context = FlowRunContext.get()
            assert context is not None and context.flow_run is not None
            return context.flow_run.id

    running = asyncio.create_task(second())
    ours = FlowFilter(name=FlowFilterName(any_=["second"]))
    async with get_client() as client:
        while ("Waiting", "RUNNING") not in seen:
            assert not running.done()
            runs = await client.read_flow_runs(flow_filter=ours)
            seen += [(run.state.name, run.state.type.value) for run in runs if run.state]
            await asyncio.sleep(0.1)
        [waiting] = [run for run in runs if run.state and run.state.name == "Waiting"]
        assert waiting.state is not None
        assert f"run first (process {holder.pid} on " in str(waiting.state.message)
        holder.kill()
        run_id = await asyncio.wait_for(running, 20)
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=[run_id]))
        [ended] = await client.read_flow_runs(flow_run_filter=wanted)
    assert ended.state_name == "Completed"
    assert "which changes the agent fred" in told[0]
    assert told[1:] == ["fred is free: the run begins"]


@pytest.mark.slow
async def test_the_last_holders_word_is_not_taken_for_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Who has just taken the turn has not written its own word yet."""
    monkeypatch.setattr(turns, "POLL_S", 0.2)
    earlier = AgentTurn(Home.at(tmp_path), "fred", "mine")
    assert earlier.take()
    with earlier:
        pass
    noted = earlier.place.with_suffix(".json")
    other = noted.read_text().replace("mine", "other")
    began: list[str] = []

    async def mine() -> None:
        async with turn_with(Home.at(tmp_path), "fred", "mine", lambda _: None):
            began.append("mine")

    with FileLock(earlier.place):
        waiting = asyncio.create_task(mine())
        await asyncio.sleep(0.1)
        noted.write_text(other)
        await asyncio.sleep(1)
        assert not waiting.done()
        assert not began
    await asyncio.wait_for(waiting, 20)
    assert began == ["mine"]


@pytest.mark.slow
async def test_agents_wait_for_nobody_but_themselves(
    tmp_path: Path, holder: "subprocess.Popen[str]"
):
    told: list[Progress] = []
    async with turn_with(Home.at(tmp_path), "eve", "second", told.append):
        pass
    with pytest.raises(InputError, match="--run-key first: is being run by another process"):
        async with turn_with(Home.at(tmp_path), "fred", "first", told.append):
            pass
    assert told == []


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        (GrindSettings(), True),
        (OneTaskSettings().grind, False),
        (OneTaskSettings(), False),
        (GrindSettings(native_profile="oracle"), False),
        (AdaptiveSettings(), True),
        (GateSettings(), True),
        (GateSettings(roll_back=False), False),
        (CalibrateSettings(), False),
        (CompareSettings(), False),
    ],
)
def test_who_only_looks_does_not_wait(settings: RunSettings, changes: bool):
    assert settings.changes_agent is changes


def test_a_run_that_told_of_no_parts_has_done_none_that_could_be_counted():
    standing = RunStanding("key", "fred")
    standing.note(RunBegan("key", False, 1))
    assert standing.page(Spend()).startswith("# 0 of 1 done")
    standing.note(AttemptEnded("crlf-kit", Outcome.FAILED, "0/4 tests passed", 1))
    page = standing.page(Spend(), over=True)
    assert page.startswith("# 1 failed")
    assert "\n\nover\n\n" in page


@pytest.mark.server
async def test_one_artifact_says_where_a_run_stands_and_where_it_stood(prefect_server: str):
    standing = RunStanding("key", "fred")
    standing.note(RunBegan("key", False, 3))

    @flow(name="lasting")
    async def lasting(seconds: float) -> Any:
        async with shown_live(standing, lambda: Spend(calls=2, cost_usd=0.126), pause_s=0.2):
            standing.note(AttemptBegan("crlf-kit"))
            await asyncio.sleep(seconds)
            standing.note(AttemptEnded("crlf-kit", Outcome.FAILED, "0/4 tests passed", 1))
            await asyncio.sleep(seconds)
            standing.note(Advanced(1, 3))
            context = FlowRunContext.get()
            assert context is not None and context.flow_run is not None
            return context.flow_run.id

    run_id = await lasting(0.5)
    short = await lasting(0.0)
    async with get_client() as client:
        ours = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id, short]))
        found = await client.read_artifacts(artifact_filter=ours)
    [page] = found
    assert page.key == "progress-fred"
    assert page.description is not None
    assert page.description.startswith("1 of 3 done · 1 failed · $0.13 · ")
    assert "to go" in page.description
    assert "` over" in str(page.data)
    assert "✗ crlf-kit  cycle 1  failed: 0/4 tests passed" in str(page.data)


@pytest.mark.server
async def test_a_run_is_named_by_its_time_and_tasks_unless_a_person_named_it(prefect_server: str):
    @flow(name="naming", flow_run_name=named("grind"))
    async def naming(settings: GrindSettings) -> Any:
        await name_run("eve", ["branch-sales", "crlf-kit", "deleted-branch"])
        context = FlowRunContext.get()
        assert context is not None and context.flow_run is not None
        return context.flow_run.id

    async with get_client() as client:
        run = await client.read_flow_run(await naming(GrindSettings(agent_id="fred")))
        assert re.fullmatch(r"grind eve · branch-sales \+2 · \d\d:\d\d UTC", run.name)
        typed = await client.create_flow_run(
            naming, parameters={"settings": GrindSettings()}, name="before the holidays"
        )
        from prefect.flow_engine import run_flow_async

        await run_flow_async(naming, flow_run=typed, parameters={"settings": GrindSettings()})
        assert (await client.read_flow_run(typed.id)).name == "before the holidays"


@pytest.mark.parametrize("name", ["crafty-otter", "Sleek-Liger", "epsilon3-ariannus"])
def test_names_that_prefect_makes_up_are_known(name: str):
    from grindstone.tasks.flow_runs import _MADE_UP

    assert _MADE_UP.fullmatch(name)
