"""The login of a home's server: who has none is refused, and nothing that is kept tells it."""

import asyncio
import base64
import json
import os
import re
import stat
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.browsing import LOGIN_FIELD

from grindstone.errors import InputError
from grindstone.flows.serving.login import VARIABLE, as_header, login, login_file
from grindstone.flows.serving.server import Running, ServerState, remember, server_for

if TYPE_CHECKING:
    from playwright.sync_api import Page

SOME_ID = "00000000-0000-0000-0000-000000000000"
WRONG = "admin:not-the-login-of-this-server"


def test_it_is_made_once_and_closed_to_others(tmp_path: Path) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(login(tmp_path))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    (made,) = set(found)
    assert re.fullmatch(r"admin:[\w-]{32}", made)
    assert [path.name for path in login_file(tmp_path).parent.iterdir()] == ["login"]
    assert login(tmp_path / "another") != made


@pytest.mark.parametrize("mode", [0o644, 0o666, 0o640])
def test_one_that_a_user_wrote_is_used_and_closed(tmp_path: Path, mode: int) -> None:
    file = login_file(tmp_path)
    file.parent.mkdir(parents=True)
    file.write_text("ada:a-long-password\n")
    file.chmod(mode)
    assert login(tmp_path) == "ada:a-long-password"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("text", ["", "\n", "nouser\n", "a:b\nc:d\n", "a:b c\n", "a:ü\n"])
def test_a_file_without_a_login_is_named(tmp_path: Path, text: str) -> None:
    file = login_file(tmp_path)
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(InputError, match=re.escape(str(file))):
        login(tmp_path)


@pytest.mark.server
async def test_without_it_the_whole_api_is_closed(prefect_server: str) -> None:
    own = as_header(os.environ[VARIABLE])
    spaced = {"Authorization": own["Authorization"] + " x"}
    others: list[dict[str, str]] = [{}, as_header(WRONG), {"Authorization": "Bearer x"}, spaced]
    async with httpx.AsyncClient(timeout=60) as client:
        described = (await client.get(f"{prefect_server}/openapi.json", headers=own)).json()
        ways = [
            (method, re.sub(r"\{\w+\}", SOME_ID, path).removeprefix("/api"))
            for path, methods in described["paths"].items()
            for method in methods
        ]
        ways += [("get", "/openapi.json"), ("get", "/docs"), ("get", "/variables/name/health")]
        assert len(ways) > 150
        admitted: set[tuple[str, str]] = set()
        for method, path in ways:
            for headers in others:
                address = prefect_server + path
                answer = await client.request(method, address, headers=headers, json={})
                if answer.status_code != httpx.codes.UNAUTHORIZED:
                    admitted.add((method, path))
    assert admitted == {("get", "/health"), ("get", "/ready")}


@pytest.mark.server
@pytest.mark.parametrize("protocol", [None, "prefect"])
async def test_without_it_no_socket_opens(prefect_server: str, protocol: Any) -> None:
    from fastapi.routing import APIWebSocketRoute
    from prefect.server.api.server import API_ROUTERS
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed, InvalidStatus

    paths = [
        route.path.replace("{work_pool_name}", "any")
        for router in API_ROUTERS
        for route in router.routes
        if isinstance(route, APIWebSocketRoute)
    ]
    assert {"/events/in", "/events/out", "/logs/out"} <= set(paths)
    for path in paths:
        address = prefect_server.replace("http:", "ws:") + path
        with pytest.raises((ConnectionClosed, InvalidStatus)):
            async with connect(address, subprotocols=protocol and [protocol]) as socket:
                await socket.send(json.dumps({"type": "auth", "token": WRONG}))
                answer = json.loads(await asyncio.wait_for(socket.recv(), 20))
                assert answer["type"] != "auth_success", path
                await asyncio.wait_for(socket.recv(), 20)


@pytest.mark.server
def test_a_named_server_is_given_the_users_own(
    prefect_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    own = os.environ[VARIABLE]
    with server_for(tmp_path) as found:
        assert (found, os.environ[VARIABLE]) == (prefect_server, own)
    monkeypatch.setenv(VARIABLE, WRONG)
    flags = ("--work-dir", str(tmp_path), "--task-ids", "crlf-kit", "--model-id", "rehearsal")
    done = subprocess.run(
        [sys.executable, "-m", "grindstone.flows.cli", "grind", *flags],
        env=os.environ | {"COLUMNS": "300"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert f"{VARIABLE}: is not set, or not what the server at {prefect_server}" in done.stderr
    assert WRONG not in done.stdout + done.stderr
    # The home's own server by its address: the login is in the home.
    monkeypatch.setenv(VARIABLE, own)
    file = login_file(tmp_path)
    file.parent.mkdir(parents=True)
    file.write_text(own)
    monkeypatch.setenv(VARIABLE, WRONG)
    ui = prefect_server.removesuffix("/api")
    running = Running.of(os.getpid())
    remember(tmp_path, ServerState(api_url=prefect_server, ui_url=ui, server=running))
    with server_for(tmp_path):
        assert os.environ[VARIABLE] == own
    assert os.environ[VARIABLE] == WRONG


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_worker_executes_no_command_and_nothing_tells_the_login(up: Any, tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    trying = up.deployment("try-one-task")
    settings = {**trying["parameters"]["settings"], "model_id": "rehearsal", "limit": 1}
    run = up.post(
        f"/deployments/{trying['id']}/create_flow_run",
        {
            "parameters": {"settings": settings},
            "job_variables": {"command": f"touch {marker}"},
        },
    )
    finished = up.finished(run["id"])
    logs = up.logs(run["id"])
    assert finished["state_type"] == "COMPLETED", logs
    assert not marker.exists()
    assert list((up.home / "runs").glob("grind-*/report.md"))
    done = up.command("doctor", "--work-dir", str(up.home))
    assert f"login in {login_file(up.home)}" in done.stdout
    again = up.command("up", "--work-dir", str(up.home))
    assert f"Log in at the UI with the line in {login_file(up.home)}" in again.stderr
    told = [json.dumps(finished), logs, done.stdout, again.stdout, again.stderr]
    own = login(up.home)
    for spelling in (own, own.partition(":")[2], base64.b64encode(own.encode()).decode()):
        assert not any(spelling in text for text in told)
        files = [Path(root, name) for root, _, names in os.walk(up.home) for name in names]
        holding = [path for path in files if spelling.encode() in _content(path)]
        assert holding == [login_file(up.home)] * (spelling in login_file(up.home).read_text())


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.server
@pytest.mark.slow
def test_a_pool_that_took_commands_is_closed(prefect_server: str) -> None:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.workers.process import ProcessWorker

    from grindstone.flows.worker.work_pool import ensure_pool

    open_one = ProcessWorker.get_default_base_job_template()
    open_one["variables"]["properties"]["stream_output"]["default"] = False
    made = WorkPoolCreate(
        name="older", type="process", base_job_template=open_one, concurrency_limit=3
    )
    with SyncPrefectClient(prefect_server, auth_string=os.environ[VARIABLE]) as client:
        client.create_work_pool(made)
        ensure_pool(client, "older")
        ensure_pool(client, "newer")
        older, newer = client.read_work_pool("older"), client.read_work_pool("newer")
    for pool in (older, newer):
        assert "command" not in pool.base_job_template["job_configuration"]
        assert "command" not in pool.base_job_template["variables"]["properties"]
        assert "working_dir" in pool.base_job_template["job_configuration"]
    assert older.concurrency_limit == 3
    properties = older.base_job_template["variables"]["properties"]
    assert properties["stream_output"]["default"] is False


@pytest.mark.browser
@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_ui_asks_for_it(up: Any, page: "Page") -> None:
    browser = page.context.browser
    assert browser is not None
    stranger = browser.new_page()
    try:
        stranger.goto(up.ui)
        stranger.locator(LOGIN_FIELD).fill(WRONG)
        stranger.get_by_role("button", name="Login").click()
        stranger.get_by_text("Invalid credentials").wait_for()
        assert "Deployments" not in stranger.inner_text("body")
    finally:
        stranger.close()
    assert "Deployments" in page.inner_text("body")


@pytest.mark.server
@pytest.mark.slow
def test_the_ui_itself_is_served_without(up: Any) -> None:
    with urllib.request.urlopen(f"{up.ui}/ui-settings", timeout=20) as answer:
        assert json.load(answer)["auth"] == "BASIC"
