"""The Prefect server dies under a run: what is kept, what is said, and going on with another."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.wire_faults import WireFaults

from grindstone.flows.serving.login import VARIABLE, login
from grindstone.flows.serving.server import start
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import RunRow
from grindstone.llm import CallRecord
from grindstone.records import Episode

pytestmark = [
    *(pytest.mark.server, pytest.mark.bubblewrap, pytest.mark.slow),
    pytest.mark.timeout(500),
]

IN_THE_FIRST_ATTEMPT = 3


def grind(home: Path, url: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command; without PREFECT_API_URL it starts a server of its own."""
    flags = ["--run-key", "K", "--model-id", "rehearsal", "--sandbox", "bubblewrap"]
    flags += ["--native-profile", "strands", "--task-ids", "crlf-kit", "--max-cycles", "2"]
    flags += ["--task-skill-mode", "off", "--work-dir", str(home)]
    return subprocess.run(
        [sys.executable, "-m", "grindstone.flows.cli", "grind", *flags],
        env={**os.environ, "GRINDSTONE_REHEARSAL_URL": url, **environment},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


@pytest.mark.catalogue(of="kills beside a run")
def test_a_run_ends_with_a_word_and_goes_on_elsewhere(tmp_path: Path, rehearsal_url: str):
    state = start(tmp_path / "server", detached=False)
    home, killed = tmp_path / "home", 0.0

    def kill(count: int) -> None:
        nonlocal killed
        if count == IN_THE_FIRST_ATTEMPT:
            os.killpg(state.server.pid, signal.SIGKILL)
            killed = time.monotonic()

    try:
        with WireFaults(rehearsal_url, after_answer=kill) as proxy:
            named = {"PREFECT_API_URL": state.api_url, VARIABLE: login(tmp_path / "server")}
            ended = grind(home, proxy.url, **named)
            took_s = time.monotonic() - killed
            ledger = Ledger(home)
            assert ended.returncode == 3, ended.stderr
            assert "the Prefect server cannot be used" in ended.stderr.splitlines()[-1]
            assert "the same run key goes on" in ended.stderr
            assert "Traceback" not in ended.stderr
            assert took_s < 120, "each layer waited for the server"
            # The attempt it died in was carried to its end, and nothing was begun after it.
            assert [row.status for row in ledger.rows(RunRow, "K")] == ["running", "failed"]
            assert [row.outcome for row in ledger.rows(Episode, "K")] == ["failed"]
            paid = len(proxy.seen)
            assert len(ledger.rows(CallRecord, "K")) == paid > IN_THE_FIRST_ATTEMPT
            assert "(grind, failed)" in (home / "runs" / "K" / "report.md").read_text()

            done = grind(home, proxy.url)
            assert done.returncode == 0, done.stderr
            assert len(ledger.rows(CallRecord, "K")) == len(proxy.seen) > paid
    finally:
        state.server.stop()
    assert set(proxy.delivered.values()) == {1}, "nothing was paid for twice"
    last = max(ledger.rows(RunRow, "K"), key=lambda row: row.sequence)
    assert last.status == "completed"
    found = [(row.cycle, row.outcome.value) for row in ledger.rows(Episode, "K")]
    assert sorted(found) == [(1, "failed"), (2, "passed")]
