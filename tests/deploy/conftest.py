"""A home brought up with `grindstone up`, shared by the tests of one process."""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from support.browsing import browsing, log_in

from grindstone.flows.serving.addresses import free_port
from grindstone.flows.serving.login import as_header, login
from grindstone.flows.serving.server import remembered

if TYPE_CHECKING:
    from playwright.sync_api import Page


class Up(NamedTuple):
    """A home with server, worker and deployments."""

    home: Path
    ui: str
    command: Callable[..., subprocess.CompletedProcess[str]]

    @property
    def headers(self) -> dict[str, str]:
        """The home's login, as HTTP carries it."""
        return as_header(login(self.home))

    def request(
        self, path: str, body: Any = None, method: str | None = None
    ) -> urllib.request.Request:
        return urllib.request.Request(
            f"{self.ui}/api{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"} | self.headers,
            method=method,
        )

    def get(self, path: str) -> Any:
        return _answer(self.request(path))

    def post(self, path: str, body: Any = None) -> Any:
        request = self.request(path, body or {})
        for _ in range(5):
            with contextlib.suppress(urllib.error.HTTPError):  # SQLite was busy
                return _answer(request)
            time.sleep(2)
        return _answer(request)

    def patch(self, path: str, body: dict[str, Any]) -> None:
        urllib.request.urlopen(self.request(path, body, "PATCH"), timeout=60).close()

    def delete(self, path: str) -> None:
        urllib.request.urlopen(self.request(path, method="DELETE"), timeout=60).close()

    def save_block(self, kind: str, name: str, data: dict[str, Any]) -> None:
        """Save a block as the UI does."""
        found = self.get(f"/block_types/slug/{kind}")
        [schema] = self.post(
            "/block_schemas/filter",
            {"block_schemas": {"block_type_id": {"any_": [found["id"]]}}},
        )
        document = {"name": name, "block_type_id": found["id"], "block_schema_id": schema["id"]}
        self.post("/block_documents/", document | {"data": data})

    def start(self, name: str, parameters: dict[str, Any]) -> str:
        """Start a run of a deployment as its form does; return its id."""
        path = f"/deployments/{self.deployment(name)['id']}/create_flow_run"
        return str(self.post(path, {"parameters": parameters})["id"])

    def retry(self, run_id: str) -> None:
        """Press *Retry*."""
        state = {"type": "SCHEDULED", "name": "AwaitingRetry"}
        self.post(f"/flow_runs/{run_id}/set_state", {"state": state})

    def subflows(self, run_id: str) -> list[dict[str, Any]]:
        """The flow runs below a run."""
        wanted = {"flow_runs": {"parent_flow_run_id": {"any_": [run_id]}}}
        found: list[dict[str, Any]] = self.post("/flow_runs/filter", wanted)
        return found

    def task_runs(self, run_id: str) -> list[dict[str, Any]]:
        """The task runs of a run."""
        wanted = {"flow_runs": {"id": {"any_": [run_id]}}}
        found: list[dict[str, Any]] = self.post("/task_runs/filter", wanted)
        return found

    def deployment(self, name: str) -> dict[str, Any]:
        found = self.post("/deployments/filter")
        return next(item for item in found if item["name"] == name)

    def finished(self, run_id: str, patience_s: float = 400.0) -> dict[str, Any]:
        """The flow run once it has ended."""
        return self.until(
            run_id, {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}, patience_s=patience_s
        )

    def until(self, run_id: str, states: set[str], patience_s: float = 400.0) -> dict[str, Any]:
        deadline = time.monotonic() + patience_s
        while True:
            run = self.get(f"/flow_runs/{run_id}")
            if run["state_type"] in states:
                return run
            assert time.monotonic() < deadline, f"still {run['state_name']}"
            time.sleep(1)

    def engine_of(self, run_id: str) -> int:
        """The process that the worker started for a run: one, and its own child."""
        state = remembered(self.home)
        assert state is not None and state.worker is not None
        mark = f"PREFECT__FLOW_RUN_ID={run_id}".encode()
        found: list[int] = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                # a process that ended and is not yet waited for has no environment
                its = mark in (process / "environ").read_bytes().split(b"\0")
                stat = (process / "stat").read_text().rpartition(")")[2].split()
                if its and int(stat[1]) == state.worker.pid:
                    found.append(int(process.name))
        [engine] = found
        words = Path(f"/proc/{engine}/cmdline").read_bytes()
        assert b"grindstone.flows.worker.engine" in words, words
        return engine

    def logs(self, run_id: str) -> str:
        found = self.post("/logs/filter", {"logs": {"flow_run_id": {"any_": [run_id]}}})
        return "\n".join(item["message"] for item in found)


def _answer(request: urllib.request.Request) -> Any:
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def grindstone(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "grindstone.flows.cli", *arguments],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


@pytest.fixture(scope="session")
def run_grindstone() -> Callable[..., subprocess.CompletedProcess[str]]:
    return grindstone


class Homes:
    """The home that is up in this process, while any of its next tests may need one."""

    def __init__(self) -> None:
        self.up: Up | None = None

    def raised(self, factory: pytest.TempPathFactory) -> Up:
        """Return it; bring one up where there is none."""
        if self.up is None:
            home = factory.mktemp("up") / "home"
            arguments = ("--work-dir", str(home), "--port", str(free_port()), "--json")
            done = grindstone("up", *arguments)
            assert done.returncode == 0, done.stderr
            self.up = Up(home, json.loads(done.stdout)["ui_url"], grindstone)
            _make_reviews_rare(self.up)
        return self.up

    def end(self) -> None:
        """Take it down."""
        if self.up is not None:
            grindstone("down", "--work-dir", str(self.up.home))
            self.up = None


HOMES = Homes()


def _make_reviews_rare(up: Up) -> None:
    """Every five minutes one would run beside the tests."""
    review = up.deployment("review")
    [schedule] = review["schedules"]
    path = f"/deployments/{review['id']}/schedules/{schedule['id']}"
    up.patch(path, {"schedule": schedule["schedule"] | {"interval": 24 * 3600}})


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Behind the last test that may need it the home goes down: at rest it takes time, too."""
    if nextitem is None or nextitem.path.parent != item.path.parent:
        HOMES.end()


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Up:
    return HOMES.raised(tmp_path_factory)


@pytest.fixture(scope="module")
def page(chromium: str, up: Up) -> Iterator["Page"]:
    with browsing(chromium) as opened:
        log_in(opened, up.ui, login(up.home))
        yield opened


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: GRINDSTONE_SCREENSHOTS, or a temporary folder."""
    named = os.environ.get("GRINDSTONE_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
