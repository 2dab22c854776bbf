"""A release that one machine has answered, asked again on another."""

import asyncio
from pathlib import Path

import pytest

from grindstone.attempt.account import Question
from grindstone.attempt.arms import Arms
from grindstone.attempt.release import record_release
from grindstone.benchmark import load_task
from grindstone.flows.release import release
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.ledger.tables.releases import ExposureRow
from grindstone.ledger.tables.runs import GatePairRow
from grindstone.records import utc_now
from grindstone.resources import bundled
from grindstone.settings import ReleaseSettings
from grindstone.workspace import Workspace

pytestmark = [pytest.mark.server, pytest.mark.slow]


def _answer(home: Home) -> None:
    """Have a release said; nothing is put into storage as its run ends, for it was killed."""
    made = Workspace.create(home.workspace("ann"), bundled("seed_workspaces/skillbench"))
    task = load_task(bundled("examples/tasks") / "crlf-kit")
    now = made.snapshot()
    question = Question(
        tasks=(task,),
        arms=Arms(baseline=now, candidate=now),
        model="rehearsal",
        profile="strands",
        trials=1,
    )
    asked = ExposureRow(
        run_key="R",
        query_id=question.query_id,
        marks=(task.digest,),
        n_clusters=1,
        nth=1,
        alpha=0.9,
        level=0.9,
        at=utc_now(),
    )
    pair = GatePairRow(
        run_key="R", gate_id="release", task_id="crlf-kit", baseline_score=0.0, candidate_score=1.0
    )
    folder, key = home.run("R"), None
    record_release(Ledger(home), folder, question, asked, [pair], agent_id="ann", signing_key=key)


async def test_its_certificate_is_wherever_it_is_asked_for(
    address: str, prefect_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    await asyncio.to_thread(_answer, Home.at(address))
    monkeypatch.setenv("GRINDSTONE_CACHE_DIR", str(tmp_path / "other"))
    again = await release(ReleaseSettings(work_dir=address, agent_id="ann"))
    assert again.repeated
    assert again.row is not None
    assert again.folder.is_relative_to(tmp_path / "other")
    assert "crlf-kit" in (again.folder / "certificate.md").read_text()
    assert (again.folder / "certificate.json").is_file()
