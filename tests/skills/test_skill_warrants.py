"""Warrants: earned by ablation, many at once, lapsing, and what a policy retires."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from grindstone.evolve.warrants import (
    POLICIES,
    SkillUseCount,
    known_states,
    latest_warrants,
    retire,
    to_retire,
    uses_of,
    why_lapsed,
)
from grindstone.gate import Pair, PairedComparison, compare_paired
from grindstone.gate.discovery import adjusted, lift_states
from grindstone.ledger import Ledger
from grindstone.ledger.tables.attempts import SkillUseRow
from grindstone.ledger.tables.library import WarrantRow
from grindstone.records import Episode, utc_now
from grindstone.resources import bundled
from grindstone.workspace import Workspace


def seen(*lifts: float) -> PairedComparison:
    return compare_paired(
        Pair(task_id=str(n), baseline=max(0, -lift), candidate=max(0, lift))
        for n, lift in enumerate(lifts)
    )


def states(*found: PairedComparison, margin: float = 0.2) -> list[str]:
    return lift_states(found, false_share=0.05, margin=margin)


def test_states_follow_what_was_seen():
    helps, harms = seen(*[1] * 8), seen(*[-1] * 8)
    idle, thin = seen(*[0] * 12), seen(1, 0, 0)
    assert states(helps, harms, idle, thin) == ["helps", "harms", "harmless", "unknown"]
    assert states(idle, margin=0.05) == ["unknown"], "twelve tasks do not show that"
    assert states(compare_paired([])) == ["unknown"]
    assert states() == []


def test_one_lucky_skill_among_many_is_not_called_helpful():
    lucky = seen(1, 1, 1, 1, 1, 1)
    assert states(lucky) == ["helps"]
    assert states(lucky, *[seen(1, -1, 1, -1)] * 19)[0] == "unknown"


@pytest.mark.slow
def test_where_no_skill_does_anything_false_calls_are_kept_rare():
    draw = np.random.default_rng(5)
    called = 0
    for _ in range(200):
        tries = draw.integers(-1, 2, size=(15, 12))
        called += any(s in ("helps", "harms") for s in states(*[seen(*row) for row in tries]))
    assert called / 200 <= 0.08, "with nothing to find, any call is a false one"


def test_adjusted_p_values_are_those_of_benjamini_and_hochberg():
    assert adjusted([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.5])
    assert adjusted([]) == []


def row(skill: str = "s", state: str = "helps", **more: object) -> WarrantRow:
    given = {"run_key": "r", "agent_id": "ada", "skill": skill, "skill_digest": "d"}
    about = {"model": "m", "tasks_digest": "t", "library_digest": "l", "state": state}
    return WarrantRow.model_validate({**given, **about, "at": utc_now(), **more})


def test_a_warrant_lapses_with_model_skill_or_tasks():
    held = {"skill_digest": "d", "model": "m", "tasks": "t"}
    assert why_lapsed(row(), **held) == ""
    assert why_lapsed(None, **held) == "none was earned yet"
    assert why_lapsed(row(), **held | {"model": "other"}) == "the model changed"
    assert why_lapsed(row(), **held | {"skill_digest": "e", "tasks": "u"}) == (
        "the skill and the tasks changed"
    )


def test_of_harmless_skills_one_at_a_time_is_retired_and_not_in_another_library():
    rows = [row("a", "harmless", lift=0.0), row("b", "harmless", lift=-0.05), row("c", "helps")]

    def retired(policy: str, *given: WarrantRow, library: str = "l") -> list[str]:
        found = to_retire(given or rows, POLICIES[policy], library_digest=library)
        return [each.skill for each in found]

    assert retired("useless") == ["b"]
    assert retired("useless", library="another") == []
    assert retired("harmful") == retired("nothing") == []
    bad = [row("x", "harms"), row("y", "never loaded"), row("z", "unknown")]
    assert retired("useless", *bad) == ["x", "y"]
    assert retired("useless", *bad, *rows) == ["x", "y"], "what harms may hide what another does"
    assert retired("useless", *bad[1:], *rows) == ["y", "b"]
    assert retired("harmful", *bad) == ["x"]


def test_only_scored_offers_of_the_present_text_beside_all_others_are_chances(tmp_path: Path):
    now = Workspace.create(
        tmp_path / "agent", bundled("seed_workspaces/skillbench")
    ).library.skills()
    skill, ledger = now[0], Ledger(tmp_path)
    made = {
        "one": {},
        "two": {"arm": "with"},
        "lost": {"outcome": "error"},
        "lacking": {"arm": "without"},
        "other": {"model": "n"},
        "old": {},
    }
    for key, about in made.items():
        text = "old" if key == "old" else skill.digest
        use = SkillUseRow(episode_id=key, skill=skill.name, skill_digest=text, loaded=key == "old")
        ledger.append([use], run_key="r")
        ledger.append([attempt(key, **about)], run_key="r")
    seen = uses_of(ledger, "ada", "m", now)
    assert seen == {skill.name: SkillUseCount(offered=2, clusters=frozenset({"t"}))}


def test_attempts_at_one_task_or_at_its_copies_are_one_chance(tmp_path: Path):
    now = Workspace.create(
        tmp_path / "agent", bundled("seed_workspaces/skillbench")
    ).library.skills()
    ledger = Ledger(tmp_path)
    for number in range(30):
        key, task = f"e{number}", ("one", "copy", "other")[number % 3]
        use = SkillUseRow(episode_id=key, skill=now[0].name, skill_digest=now[0].digest)
        ledger.append([use], run_key="r")
        ledger.append([attempt(key, task_id=task)], run_key="r")
    [use] = uses_of(ledger, "ada", "m", now, {"one": "c", "copy": "c"}).values()
    assert (use.offered, sorted(use.clusters)) == (30, ["c", "other"])


def attempt(key: str, **about: object) -> Episode:
    given = {"episode_id": key, "run_key": "r", "agent_id": "ada", "task_id": "t", "model": "m"}
    given |= {"purpose": "grind", "outcome": "failed", "workspace_commit": "c", "profile": "p"}
    when = {"started_at": utc_now(), "ended_at": utc_now()}
    return Episode.model_validate({**given, **when, **about})


def test_retiring_is_one_commit_that_can_be_taken_back(tmp_path: Path):
    workspace = Workspace.create(tmp_path / "agent", bundled("seed_workspaces/skillbench"))
    ledger, names = Ledger(tmp_path), workspace.library.names()
    first = workspace.library.digest(names[0])
    older = row(names[0], "unknown", at=utc_now() - timedelta(days=1), run_key="old")
    newer = row(names[0], "harms", skill_digest=first)
    ledger.append([older], run_key="old")
    ledger.append([newer], run_key="r")
    assert latest_warrants(ledger, "ada")[names[0]].state == "harms"
    assert known_states(ledger, "ada", workspace.library) == {names[0]: "harms"}
    for _ in range(2):
        assert retire(workspace, ledger, [newer], run_key="r") == (names[0],)
    assert workspace.library.names() == names[1:]
    [made] = workspace.evolutions()
    assert made.message == f"Retire {names[0]} (harms, m)"
    workspace.rollback(f"pre-evo-{made.number}")
    assert workspace.library.names() == names
