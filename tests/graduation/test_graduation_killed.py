"""A process that is killed in the middle of a live action: told, and kept."""

import json
from pathlib import Path

import pytest
from live_process import filing
from typer.testing import CliRunner

from grindstone.flows.cli.app import app
from grindstone.graduation import GraduationService
from grindstone.graduation.intake.under_way import cut_off_actions
from grindstone.ledger import Ledger
from grindstone.ledger.tables.autonomy import LiveActionRow
from grindstone.records import Episode
from grindstone.settings import GraduationSettings
from grindstone.tasks.graduation import open_service

pytestmark = pytest.mark.slow


@pytest.fixture
def killed(tmp_path: Path) -> Path:
    """A home in which an agent's process was killed while it filed its second form."""
    with filing(str(tmp_path / "home")):
        pass
    return tmp_path / "home"


def verified(home: Path) -> tuple[dict[str, list[dict[str, str]]], str]:
    words = ["audit", "verify", "--work-dir", str(home)]
    told, listed = (CliRunner().invoke(app, [*words, *more]) for more in ((), ("--json",)))
    assert (told.exit_code, listed.exit_code) == (0, 0), told.output
    return json.loads(listed.stdout), told.output


async def test_it_is_told_and_an_episode_exists_for_it(killed: Path) -> None:
    found, told = verified(killed)
    assert [row["arguments"] for row in found["cut_off"]] == [{"form": "T3"}]
    assert "file of ada, episode task-1: was begun and never closed" in told
    settings = GraduationSettings(work_dir=killed)
    async with open_service(settings, run_key="review-1") as service:  # what a review opens
        pass
    (episode,) = Ledger(killed).rows(Episode)
    assert (episode.episode_id, episode.passed, episode.tool_calls) == ("task-1", False, 2)
    assert (episode.category, episode.tags) == ("filing", ("ontario",))
    assert episode.metadata["ended_by"] == "its process was gone"
    ended = [row for row in Ledger(killed).rows(LiveActionRow) if row.phase == "ended"]
    assert {row.position: row.status for row in ended} == {0: "done", 1: "cut off"}
    # It stays told: nobody knows whether the form was filed.
    assert "was begun and never closed" in verified(killed)[1]
    assert not list(service.registry.home.live_tasks.iterdir())
    assert await service.settle_cut_off() == ()


async def test_a_task_whose_process_lives_is_left_to_it(tmp_path: Path) -> None:
    service = GraduationService(tmp_path)
    with filing(str(tmp_path)):
        assert await service.settle_cut_off() == ()
        assert [each.at_work for each in cut_off_actions(service.registry)] == [True]
        assert "is at work" in verified(tmp_path)[1]
    (sentence,) = await service.settle_cut_off()
    assert sentence.startswith(
        "ada: live task task-1 was cut off with its process after file, file"
    )
