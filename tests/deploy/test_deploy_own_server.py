"""A Prefect server of one's own: the commands of docs/deploy.md, as they stand there."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from grindstone.flows.serving.addresses import free_port
from grindstone.flows.serving.login import VARIABLE, as_header
from grindstone.flows.serving.server import Running, healthy

ROOT = Path(__file__).resolve().parents[2]
HEADING = "## A server of your own"
LOGIN = "ada:a-login-of-her-own"

pytestmark = [
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.timeout(600),
]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A person's shell: the commands of this environment, Prefect's files in a folder of theirs."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {
        **os.environ,
        **{"PATH": path, "PREFECT_HOME": str(tmp_path / "prefect"), VARIABLE: LOGIN},
    }


@pytest.fixture
def own_server(tmp_path: Path, environment: dict[str, str]) -> Iterator[str]:
    """The API address of a plain `prefect server start`."""
    # Not where our servers' logs are, which may hold no error: on a busy machine a plain server
    # on SQLite answers "database is locked", as docs/deploy.md says.
    port, log = free_port(), tmp_path / "plain-server.log"
    settings = {
        "PREFECT_SERVER_UI_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_API_AUTH_STRING": LOGIN,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["prefect", "server", "start", "--port", str(port)],
            env=environment | settings,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}/api"
    try:
        deadline = time.monotonic() + 180
        while not healthy(url):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        yield url
    finally:
        Running.of(process.pid).stop()
        process.wait(10)


def documented(url: str) -> list[str]:
    """The commands of the document, for a server at another address."""
    section = (ROOT / "docs" / "deploy.md").read_text().split(HEADING)[1].split("\n## ")[0]
    lines = [line.strip() for line in section.splitlines() if line.startswith("    ")]
    commands = "\n".join(lines)
    assert "http://127.0.0.1:4200/api" in commands
    return commands.replace("http://127.0.0.1:4200/api", url).splitlines()


@pytest.mark.catalogue(of="documents that are walked through")
def test_the_documented_commands_end_in_a_run(
    tmp_path: Path, own_server: str, environment: dict[str, str]
):
    def post(path: str, body: dict[str, Any]) -> Any:
        data, kind = (
            json.dumps(body).encode(),
            {"content-type": "application/json"} | as_header(LOGIN),
        )
        request = urllib.request.Request(f"{own_server}{path}", data=data, headers=kind)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "prefect.yaml").write_text((ROOT / "prefect.yaml").read_text())
    *before, worker = documented(own_server)
    assert worker.startswith("prefect worker start")
    script = "\n".join(before).replace("GRINDSTONE_POOL=grindstone", "GRINDSTONE_POOL=mine")
    exported = "\n".join(line for line in script.splitlines() if line.startswith("export"))
    done = subprocess.run(
        ["bash", "-ec", script],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    deployed = {item["name"]: item for item in post("/deployments/filter", {})}
    assert {item["work_pool_name"] for item in deployed.values()} == {"mine"}
    with (tmp_path / "worker.log").open("wb") as output:
        working = subprocess.Popen(
            ["bash", "-ec", f"{exported}\nexec {worker}"],
            cwd=checkout,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        trying = deployed["try-one-task"]
        settings = trying["parameters"]["settings"] | {"model_id": "rehearsal"}
        path = f"/deployments/{trying['id']}/create_flow_run"
        run = post(path, {"parameters": {"settings": settings}})
        deadline = time.monotonic() + 240
        while run["state_type"] not in ("COMPLETED", "FAILED", "CRASHED"):
            assert time.monotonic() < deadline, (tmp_path / "worker.log").read_text()
            time.sleep(1)
            [run] = post("/flow_runs/filter", {"flow_runs": {"id": {"any_": [run["id"]]}}})
        assert run["state_type"] == "COMPLETED", run["state"]["message"]
        assert list((checkout / "evolution_workdir" / "runs").glob("grind-*/report.md"))
    finally:
        Running.of(working.pid).stop()
        working.wait(10)
