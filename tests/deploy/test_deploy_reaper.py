"""What dead runs left is ended though no other run begins: sandboxes here, flow runs elsewhere."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from prefect import flow, get_client, task
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
from prefect.states import Crashed, Running
from prefect.types._datetime import now
from support.fleet import GRINDSTONE, until
from support.namespaces import cannot_make_machines
from support.steady_model import SteadyModel

from grindstone.flows.serving.login import VARIABLE, as_header, login
from grindstone.flows.serving.server import start
from grindstone.flows.serving.zombies import NAME, watch_over_zombies
from grindstone.tasks.flow_runs import run_tag

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(180)]

BEATS_S = 30
"""As often as Prefect lets a run give signs of life at most."""
WITHIN_S = 1.3 * BEATS_S

OWNER = """
import asyncio
from grindstone.sandbox import StartSpec, open_provider

async def main():
    provider = await open_provider("bubblewrap")
    sandbox = await provider.start(StartSpec(image="host", name="left"))
    print(sandbox.box.folder, flush=True)
    await asyncio.sleep(120)

asyncio.run(main())
"""


@contextmanager
def left_behind() -> Iterator[Path]:
    """A box whose process was killed."""
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    folder = Path(owner.stdout.readline().strip())
    assert folder.is_dir()
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    yield folder


@pytest.mark.bubblewrap
def test_a_server_ends_what_dead_runs_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GRINDSTONE_SWEEP_S", "1")
    with left_behind() as folder:
        state = start(tmp_path, detached=False)
        try:
            deadline = time.monotonic() + 60
            while folder.exists():
                assert time.monotonic() < deadline
                time.sleep(0.2)
        finally:
            state.server.stop()


def test_a_server_closes_runs_that_were_killed_before_they_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    @flow(name="begun")
    def begun() -> None:
        """It is never called: a run of it is noted as by a command that was killed then."""

    @task
    def part_of_it() -> None:
        """A subflow, as its parent has it."""

    monkeypatch.setenv("GRINDSTONE_BEGINS_S", "2")
    state = start(tmp_path, detached=False)
    try:
        with SyncPrefectClient(state.api_url, auth_string=login(tmp_path)) as client:
            whole = client.create_flow_run(begun, state=Crashed())
            step = client.create_task_run(part_of_it, whole.id, "0", state=Running())
            alone = client.create_flow_run(begun)
            part = client.create_flow_run(begun, parent_task_run_id=step.id)
            waiting = client.create_flow_run(begun, state=Running(name="Waiting"))
            for left in (alone, part):
                deadline = time.monotonic() + 90
                while client.read_flow_run(left.id).state_name != "Crashed":
                    assert time.monotonic() < deadline
                    time.sleep(1)
            assert client.read_flow_run(waiting.id).state_name == "Waiting"
    finally:
        state.server.stop()


@pytest.mark.bubblewrap
@pytest.mark.commands
def test_the_command_ends_it_where_there_is_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("GRINDSTONE_CACHE_DIR", str(tmp_path))  # where nobody else sweeps
    command = [sys.executable, "-m", "grindstone.flows.cli", "reap", "--json"]
    with left_behind() as folder:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert not folder.exists()
    ended = {each["kind"]: each["ended"] for each in json.loads(done.stdout)}
    assert ended["bubblewrap"] == 1


async def test_a_run_elsewhere_whose_heartbeats_stop_is_closed(prefect_server: str):
    @flow(name="elsewhere")
    def elsewhere() -> None:
        """It is never called: a run of it is noted as another machine would."""

    from prefect.settings import PREFECT_API_AUTH_STRING

    secret = PREFECT_API_AUTH_STRING.value()
    with SyncPrefectClient(prefect_server, auth_string=secret) as client:
        assert watch_over_zombies(client, within_s=10)
        assert not watch_over_zombies(client), "what is there is the user's"
        [automation] = client.read_automations_by_name(NAME)
    headers = as_header(secret or "")

    def beat(run_id: object) -> None:
        event = {
            "id": str(uuid4()),
            "occurred": now("UTC").isoformat(),
            "event": "prefect.flow-run.heartbeat",
            "resource": {"prefect.resource.id": f"prefect.flow-run.{run_id}"},
        }
        answer = httpx.post(f"{prefect_server}/events", json=[event], headers=headers)
        answer.raise_for_status()

    async with get_client() as client:
        dead, alive = [await client.create_flow_run(elsewhere, state=Running()) for _ in range(2)]
        time.sleep(2)  # the trigger is loaded
        beat(dead.id)
        deadline = time.monotonic() + 90
        while (await client.read_flow_run(dead.id)).state_name != "Crashed":
            beat(alive.id)
            assert time.monotonic() < deadline
            time.sleep(2)
        assert (await client.read_flow_run(alive.id)).state_name == "Running"
        await client.delete_automation(automation.id)


@pytest.mark.bubblewrap
@pytest.mark.commands
def test_a_command_on_another_machine_gives_signs_of_life(tmp_path: Path, prefect_server: str):
    if why := cannot_make_machines():
        pytest.skip(why)
    url, secret = prefect_server, os.environ[VARIABLE]
    with (
        SyncPrefectClient(url, auth_string=secret) as client,
        SteadyModel("127.0.0.1", answer_s=200, command="true") as model,
    ):
        assert watch_over_zombies(client, within_s=WITHIN_S)
        [automation] = client.read_automations_by_name(NAME)
        command = ["grind", "--run-key", "far", "--work-dir", str(tmp_path / "home")]
        command += ["--model-id", "rehearsal", "--sandbox", "bubblewrap"]
        command += ["--native-profile", "strands", "--task-ids", "crlf-kit"]
        command += ["--task-skill-mode", "off"]  # it is the attempt that waits for the model
        named = ["unshare", "--uts", "sh", "-c", 'hostname far-away; exec "$@"', "sh"]
        environment = os.environ | {
            "PREFECT_API_URL": url,
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(BEATS_S),
            "GRINDSTONE_REHEARSAL_URL": model.url,
        }
        with (tmp_path / "log").open("wb") as log:
            far = subprocess.Popen(
                [*named, *GRINDSTONE, *command], env=environment, stdout=log, stderr=log
            )
        try:
            until(lambda: model.asked or far.poll() is not None, patience_s=120)
            assert far.poll() is None, (tmp_path / "log").read_text()
            time.sleep(WITHIN_S + 5)
            runs = client.read_flow_runs(
                flow_run_filter=FlowRunFilter(tags=FlowRunFilterTags(all_=[run_tag("far")]))
            )
            assert {run.state_name for run in runs} == {"Running"}
            assert len(runs) == 2, [run.name for run in runs]  # it and its attempt
        finally:
            far.kill()
            far.wait()
        for run in runs:
            until(lambda: client.read_flow_run(run.id).state_name == "Crashed", patience_s=120)  # noqa: B023
        client.delete_automation(automation.id)
