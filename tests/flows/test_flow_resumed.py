"""Going on with a run: torn results, a second process, flow runs of the dead."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from grindstone.errors import InputError
from grindstone.flows.serving.addresses import free_port
from grindstone.settings import GrindSettings, Profile

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]


def settings(home: Path, run_key: str = "K") -> GrindSettings:
    return GrindSettings(
        work_dir=home,
        task_ids=["plain-inventory"],
        model_id="rehearsal",
        native_profile=Profile.ORACLE,
        task_skill_mode="off",
        success_mode="off",
        run_key=run_key,
    )


async def test_a_torn_result_is_made_again(tmp_path: Path, prefect_server: str):
    from grindstone.flows.grind import grind
    from grindstone.ledger import Ledger
    from grindstone.ledger.tables.runs import BatchRow

    first = (await grind(settings(tmp_path))).report
    results = [path for path in (tmp_path / "runs/K/results").iterdir() if path.is_file()]
    assert results
    for path in results:
        path.write_bytes(path.read_bytes()[:40])
    for path in Ledger(tmp_path).folder("batches", "K").iterdir():
        path.unlink()  # as if the process had ended before the batch was noted
    second = (await grind(settings(tmp_path))).report
    assert second == first
    assert len(Ledger(tmp_path).rows(BatchRow, "K")) == 1


async def test_a_run_is_driven_by_one_process(tmp_path: Path, prefect_server: str):
    from grindstone.flows.grind import grind
    from grindstone.home import Home
    from grindstone.runs.lock import sole_process

    with (
        sole_process(Home(tmp_path).run("K"), "K"),
        pytest.raises(InputError, match="is being run by another process"),
    ):
        await grind(settings(tmp_path))
    assert (await grind(settings(tmp_path))).report.passed == 1


async def test_flow_runs_of_a_dead_process_are_closed(tmp_path: Path, prefect_server: str):
    from prefect import get_client
    from prefect.states import Running

    from grindstone.flows.attempt import attempt
    from grindstone.flows.grind import grind

    async with get_client() as client:
        left = await client.create_flow_run(attempt, parameters={}, tags=["run:K"], state=Running())
        new = await client.create_flow_run(grind, tags=["run:K"])
        other = await client.create_flow_run(attempt, tags=["run:other"], state=Running())
        await grind(settings(tmp_path))
        closed = [(await client.read_flow_run(one.id)).state for one in (left, new)]
        untouched = (await client.read_flow_run(other.id)).state
    assert all(state is not None and state.is_crashed() for state in closed)
    assert untouched is not None
    assert untouched.is_running()


async def test_a_flow_that_a_run_is_part_of_is_none_that_was_left(
    tmp_path: Path, prefect_server: str
):
    from prefect import flow, get_client, tags
    from prefect.context import FlowRunContext

    from grindstone.flows.grind import grind

    seen: list[str | None] = []

    @flow
    async def within() -> None:
        await grind(settings(tmp_path))

    @flow
    async def around() -> None:
        context = FlowRunContext.get()
        assert context is not None
        assert context.flow_run is not None
        assert "run:K" in context.flow_run.tags
        await within()
        async with get_client() as client:
            seen.append((await client.read_flow_run(context.flow_run.id)).state_name)

    with tags("run:K"):
        await around()
    assert seen == ["Running"]


WAITS = """
import asyncio, sys
from pathlib import Path
from grindstone.flows.grind import grind
from grindstone.settings import GrindSettings
settings = GrindSettings(
    work_dir=Path(sys.argv[1]), task_ids=["plain-inventory"], model_id="rehearsal", run_key="waits"
)
asyncio.run(grind(settings))
"""


async def test_the_flow_run_of_a_process_that_was_killed_while_it_waited_is_closed(
    tmp_path: Path, prefect_server: str
):
    from prefect import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags

    from grindstone.flows.grind import grind
    from grindstone.home import Home
    from grindstone.runs.turns import AgentTurn

    ours = FlowRunFilter(tags=FlowRunFilterTags(all_=["run:waits"]))
    turn = AgentTurn(Home.at(tmp_path), "skillbench", "another")
    assert turn.take()
    async with get_client() as client:
        with turn:
            command = (sys.executable, "-c", WAITS, str(tmp_path))
            environment = os.environ | {"PREFECT_API_URL": prefect_server}
            with subprocess.Popen(command, env=environment) as process:
                while not (found := await client.read_flow_runs(flow_run_filter=ours)) or (
                    found[0].state_name != "Waiting"
                ):
                    assert process.poll() is None
                    await asyncio.sleep(0.2)
                process.kill()
        await grind(settings(tmp_path, "waits"))
        left = (await client.read_flow_run(found[0].id)).state
    assert left is not None
    assert left.is_crashed()
    assert "the run went on as grind" in str(left.message)


async def test_the_flow_run_of_a_command_that_was_killed_before_it_began_is_closed(
    tmp_path: Path, prefect_server: str
):
    import httpx2
    import uvicorn
    from prefect import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from grindstone.flows.grind import grind

    begins = asyncio.Event()

    async def passed_on(request: Request) -> Response:
        """Pass everything on but what says that a flow run begins."""
        path = request.url.path
        if "/flow_runs/" in path and path.endswith("/set_state"):
            begins.set()
            await asyncio.sleep(60)
        there = await upstream.request(
            request.method,
            prefect_server.removesuffix("/api") + path,
            params=dict(request.query_params),
            content=await request.body(),
            headers={key: value for key, value in request.headers.items() if key != "host"},
        )
        return Response(there.content, there.status_code, media_type="application/json")

    route = Route("/{path:path}", passed_on, methods=["GET", "POST", "PATCH"])
    port = free_port()
    config = uvicorn.Config(Starlette(routes=[route]), port=port, lifespan="off", log_level="error")
    proxy = uvicorn.Server(config)
    ours = FlowRunFilter(tags=FlowRunFilterTags(all_=["run:unbegun"]))
    async with httpx2.AsyncClient() as upstream, get_client() as client:
        serving = asyncio.create_task(proxy.serve())
        words = (
            "grind",
            "--work-dir",
            str(tmp_path),
            "--model-id",
            "rehearsal",
            "--run-key",
            "unbegun",
        )
        command = (sys.executable, "-m", "grindstone.flows.cli", *words)
        environment = os.environ | {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api"}
        process = await asyncio.create_subprocess_exec(*command, env=environment)
        await asyncio.wait_for(begins.wait(), 60)
        process.kill()
        await process.wait()
        proxy.force_exit = proxy.should_exit = True
        await serving
        [left] = await client.read_flow_runs(flow_run_filter=ours)
        assert left.state_name == "Pending"
        await grind(settings(tmp_path, "unbegun"))
        closed = (await client.read_flow_run(left.id)).state
    assert closed is not None
    assert closed.is_crashed()
