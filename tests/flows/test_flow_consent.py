"""Nobody is surprised by what a run costs: it is said, asked, and ends at a ceiling."""

import asyncio
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.documented import Session
from support.model_service import Service, serving

from grindstone.flows.grind import grind
from grindstone.settings import GrindSettings, SuccessMode, TaskSkillMode

pytestmark = [pytest.mark.commands, pytest.mark.catalogue(of="agreed spending")]

COMMAND = Path(sys.executable).with_name("grindstone")
MODEL = "claude-opus-5-5"
SHORT = {
    "model_id": MODEL,
    "task_ids": ["plain-inventory"],
    "max_cycles": 1,
    "max_steps": 2,
    "task_skill_mode": TaskSkillMode.OFF,
    "success_mode": SuccessMode.OFF,
    "evolve_skills": False,
}
FLAGS = [
    *("grind", "--work-dir", "home", "--model-id", MODEL, "--task-ids", "plain-inventory"),
    *("--max-cycles", "1", "--max-steps", "2", "--task-skill-mode", "off"),
    *("--success-mode", "off", "--evolve-skills", "false"),
]


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """A Messages service that charges, in a thread of its own."""
    started, found = threading.Event(), list[Service]()
    stop = asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def run() -> None:
        async with serving() as each:
            found.append(each)
            loops.append(asyncio.get_running_loop())
            started.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert started.wait(30)
    yield found[0]
    loops[0].call_soon_threadsafe(stop.set)
    thread.join(10)


@pytest.fixture(autouse=True)
def _quiet(service: Service) -> None:
    service.output_tokens = 100
    service.paths.clear()


def environment(service: Service, prefect_server: str) -> dict[str, str]:
    return os.environ | {
        "ANTHROPIC_API_KEY": "key",
        "ANTHROPIC_BASE_URL": service.url,
        "PREFECT_API_URL": prefect_server,
        "NO_COLOR": "1",
        "COLUMNS": "300",
    }


class Seen(str):
    code: int


def at_a_terminal(answer: str, folder: Path, environ: dict[str, str], *more: str) -> Seen:
    """Run the command with a terminal, answer its question, and return what was seen."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, *FLAGS, *more], cwd=folder, env=environ, stdin=follower, stdout=follower,
        stderr=follower, close_fds=True, start_new_session=True,
    )  # fmt: skip
    os.close(follower)
    text, answered = b"", False
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:
            break
        if not piece:
            break
        text += piece
        if b"Enter to stop: " in text and not answered:
            answered = True
            os.write(leader, answer.encode())
    os.close(leader)
    seen = Seen(text.decode(errors="replace"))
    seen.code = process.wait(60)
    return seen


@pytest.mark.server
@pytest.mark.timeout(300)
async def test_a_flow_that_nobody_watches_ends_at_ten_dollars(
    tmp_path: Path, service: Service, prefect_server: str, monkeypatch: pytest.MonkeyPatch
):
    for name, value in environment(service, prefect_server).items():
        monkeypatch.setenv(name, value)
    service.output_tokens = 550_000  # eleven dollars an answer
    settings = GrindSettings(work_dir=tmp_path, **SHORT | {"max_steps": 20})
    done = await grind(settings)
    assert done.report.status == "stopped"
    assert len(service.paths) == 1, "ten dollars were passed with the first answer"


def test_a_person_who_does_not_agree_pays_nothing(tmp_path: Path, service: Service):
    environ = environment(service, "http://127.0.0.1:1/api")
    for answer in ("\n", "no\n"):
        seen = at_a_terminal(answer, tmp_path, environ)
        assert f"Expected: {MODEL}: 1 attempt at about $0." in seen
        assert "not started: nobody agreed to what it costs" in seen
        assert seen.code == 1
        assert not service.paths, "no call was made"
    assert not (tmp_path / "home" / "runs").exists()


@pytest.mark.server
@pytest.mark.timeout(600)
def test_what_a_person_agrees_to_is_the_ceiling(
    tmp_path: Path, service: Service, prefect_server: str
):
    environ = environment(service, prefect_server)
    service.output_tokens = 1000
    seen = at_a_terminal("nonsense\n0.04\n", tmp_path, environ, "--run-key", "low")
    assert "The run stops before it spends over $0.04" in seen
    assert "max_cost_usd" in seen
    assert seen.code == 1, "the ceiling ended it"
    assert len(service.paths) == 1

    seen = at_a_terminal("yes\n", tmp_path, environ, "--run-key", "free")
    assert "The run has no ceiling on what it spends." in seen
    assert seen.code == 0

    before = len(service.paths)
    seen = at_a_terminal("", tmp_path, environ, "--estimate")
    assert "as 1 attempt of past runs here" in seen
    assert seen.code == 0
    assert len(service.paths) == before

    seen = at_a_terminal("", tmp_path, environ, "--max-cost-usd", "5", "--run-key", "given")
    assert "Expected:" not in seen, "with a ceiling there is nothing to ask"
    assert seen.code == 0


@pytest.mark.server
@pytest.mark.timeout(300)
def test_without_a_terminal_the_default_is_told(
    tmp_path: Path, service: Service, prefect_server: str
):
    done = Session(tmp_path, **environment(service, prefect_server)).run(*FLAGS, "--json")
    assert done.code == 0, done.err
    first, second = done.err.splitlines()[:2]
    assert first.startswith(f"Expected: {MODEL}: 1 attempt ")
    assert second == (
        "No ceiling was given. The run stops before it spends over $10.00; "
        "max_cost_usd sets another ceiling."
    )
    assert done.document["status"] == "completed"


@pytest.mark.server
@pytest.mark.timeout(300)
def test_an_estimate_without_a_past_rehearses_the_tasks(tmp_path: Path, prefect_server: str):
    session = Session(tmp_path, PREFECT_API_URL=prefect_server)
    done = session.run(*FLAGS, "--estimate", "--json")
    assert done.code == 0, done.err
    found = done.document
    assert (found["model"], found["fewest_attempts"], found["most_attempts"]) == (MODEL, 1, 1)
    assert 0 < found["per_attempt_usd"] < 1
    assert "1 attempt of rehearsals here" in found["basis"]
    assert not (tmp_path / "home" / "ledger").exists(), "it leaves nothing in the home"
