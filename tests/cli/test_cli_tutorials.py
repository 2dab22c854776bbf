"""docs/tutorial: its pages, read one after the other in one folder, do what they say."""

from pathlib import Path

import pytest
from support.documented import Session

from grindstone.ledger import Ledger
from grindstone.records import Episode

PAGES = Path(__file__).resolve().parents[2] / "docs" / "tutorial"
SERVING = ("grindstone view", "grindstone rehearsal")


@pytest.mark.catalogue(of="documents that are walked through")
@pytest.mark.server
@pytest.mark.sandbox
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_they_run_in_their_order(
    prefect_server: str, rehearsal_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("GRINDSTONE_WORK_DIR", raising=False)
    session = Session(
        tmp_path, PREFECT_API_URL=prefect_server, GRINDSTONE_REHEARSAL_URL=rehearsal_url
    )
    ran = []
    for name in ("own-tasks", "own-agent", "own-model"):
        text = (PAGES / f"{name}.md").read_text().replace("http://127.0.0.1:8765", rehearsal_url)
        ran += list(session.page(text, but=SERVING))
    assert len(ran) == 14
    made = Ledger(tmp_path / "evolution_workdir").rows(Episode)
    passed = {(episode.agent_id, episode.cycle): episode.passed for episode in made}
    agents = ("skillbench", "hers", "theirs")
    assert passed == {(who, cycle): cycle == 2 for who in agents for cycle in (1, 2)}
    theirs = [episode for episode in made if episode.agent_id == "theirs"]
    assert {episode.model for episode in theirs} == {f"openai:my-model@{rehearsal_url}/v1"}
    assert all(episode.rehearsal for episode in theirs)
