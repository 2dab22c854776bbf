"""Three API processes with Redis, as the manifests have them: one is killed, and a run goes on."""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from prefect.client.schemas.objects import StateType
from support.fleet import fleet, own_places, until
from support.namespaces import cannot_make_machines
from support.postgres import BINARIES
from support.redis import PROGRAM

from grindstone.flows.deployment.deploying import client_of
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.records import Episode

ATTEMPTS = 16

pytestmark = [
    *(pytest.mark.server, pytest.mark.bubblewrap, pytest.mark.slow, pytest.mark.drill),
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(cannot_make_machines()), reason=cannot_make_machines()),
    pytest.mark.skipif(not BINARIES, reason="no PostgreSQL server on this machine"),
    pytest.mark.skipif(not PROGRAM, reason="no Redis server on this machine"),
]


def test_an_api_process_is_killed_and_the_run_goes_on_with_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    pytest.importorskip("prefect_redis")
    with fleet(tmp_path, spoiled=0.0, seed=1, answer_s=1.0, servers=3) as made:
        assert made.several is not None
        for name in ("first", "second"):
            made.worker(name)
        made.wait_for_workers(2)
        parent, process = made.parent("parent", ATTEMPTS, "--run-key", "k", "--max-workers", "2")
        until(lambda: made.model.asked >= ATTEMPTS // 2 or process.poll() is not None)
        assert all(made.several.dealt.dealt.values()), "each has answered"
        killed, *others = made.several.answering
        os.kill(made.several.answering[killed].pid, signal.SIGKILL)
        assert process.wait(300) == 0, parent.said("parent.log")
        for name, value in made.storage.bucket.environment.items():
            monkeypatch.setenv(name, value)
        for name, value in own_places(str(tmp_path / "reader")).items():
            monkeypatch.setenv(name, value)
        rows = Ledger(Home.at(made.address)).rows(Episode, "k")
        assert [row.passed for row in rows] == [True] * ATTEMPTS
        assert set(Counter(row.task_id for row in rows).values()) == {1}
        assert made.model.questions == 2 * ATTEMPTS
        assert not made.model.repeated()

        def ended() -> bool:
            with client_of(made.environment) as client:
                states = [run.state_type for run in client.read_flow_runs(limit=200)]
            return len(states) > ATTEMPTS and set(states) == {StateType.COMPLETED}

        until(ended, 60)
        assert all(made.several.answering[port].poll() is None for port in others)
