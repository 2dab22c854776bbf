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
from support.browsing import browsing

from grindstone.flows.server import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Page


class Up(NamedTuple):
    """A home with server, worker and deployments."""

    home: Path
    ui: str
    command: Callable[..., subprocess.CompletedProcess[str]]

    def get(self, path: str) -> Any:
        return _answer(urllib.request.Request(f"{self.ui}/api{path}"))

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        request = urllib.request.Request(
            f"{self.ui}/api{path}",
            data=json.dumps(body or {}).encode(),
            headers={"content-type": "application/json"},
        )
        for _ in range(5):
            with contextlib.suppress(urllib.error.HTTPError):  # SQLite was busy
                return _answer(request)
            time.sleep(2)
        return _answer(request)

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


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    home = tmp_path_factory.mktemp("up") / "home"
    arguments = ("--work-dir", str(home), "--port", str(free_port()), "--json")
    done = grindstone("up", *arguments)
    assert done.returncode == 0, done.stderr
    state = json.loads(done.stdout)
    try:
        yield Up(home, state["ui_url"], grindstone)
    finally:
        grindstone("down", "--work-dir", str(home))


@pytest.fixture(scope="module")
def page(chromium: str) -> Iterator["Page"]:
    with browsing(chromium) as opened:
        yield opened


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: GRINDSTONE_SCREENSHOTS, or a temporary folder."""
    named = os.environ.get("GRINDSTONE_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
