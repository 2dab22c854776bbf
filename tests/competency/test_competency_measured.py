from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from scipy.stats import beta
from support.agents import agent

from grindstone.competency import estimates, measure
from grindstone.competency.lineage import lineage_of, standing_trees
from grindstone.competency.measured import practised_by
from grindstone.competency.members import members_of
from grindstone.competency.outcomes import OutcomeLog
from grindstone.competency.scoring import evidence_note
from grindstone.competency.training_outcome import held_out, weighed
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.ledger.tables.autonomy import OutcomeRow
from grindstone.ledger.tables.releases import TaskPartRow
from grindstone.records import Episode, Outcome, Purpose
from grindstone.settings import CompetencySettings, RouteSettings
from grindstone.workspace import Snapshot

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def episode(number: int, outcome: str = "passed", **changes) -> Episode:
    values = {
        "episode_id": f"e{number}",
        "run_key": "r",
        "agent_id": "ada",
        "purpose": Purpose.GRIND,
        "task_id": f"t{number}",
        "category": "sql",
        "tags": ("db", "slow"),
        "workspace_tree": "tree-1",
        "outcome": Outcome(outcome),
        "started_at": NOW - timedelta(minutes=1),
        "ended_at": NOW,
    }
    return Episode.model_validate(values | changes)


def measured(tmp_path: Path, episodes: list[Episode], **options):
    ledger = Ledger(tmp_path)
    ledger.append(episodes, run_key="r")
    return measure(ledger.scan(Episode), as_of=NOW, **options)


def test_a_rate_is_shrunken_and_has_the_posterior_interval(tmp_path):
    rows = [episode(k, "passed" if k < 3 else "failed") for k in range(4)]
    found = estimates(measured(tmp_path, rows, base=9), "ada")["sql"]
    assert found.n_episodes == 4
    assert found.n_passed == 3
    assert found.score == pytest.approx(9 * (3 + 1) / (4 + 2))
    assert found.low == pytest.approx(9 * beta.ppf(0.025, 4, 2))
    assert found.high == pytest.approx(9 * beta.ppf(0.975, 4, 2))
    assert not found.enough
    assert found.note == "only 4 attempts"


def test_infrastructure_control_arms_and_checks_are_no_evidence(tmp_path):
    rows = [
        episode(1),
        episode(2, "error"),
        episode(3, "failed", arm="without"),
        episode(4, "failed", arm="baseline"),
        episode(5, "failed", purpose=Purpose.CHECK),
        episode(6, "failed", profile="nop"),
        episode(7, arm="candidate"),
    ]
    found = estimates(measured(tmp_path, rows), "ada")["sql"]
    assert (found.n_episodes, found.n_passed) == (2, 2)


def test_old_evidence_counts_as_less_evidence(tmp_path):
    old = [episode(k, "failed", ended_at=NOW - timedelta(days=30)) for k in range(8)]
    new = [episode(10 + k) for k in range(4)]
    plain = estimates(measured(tmp_path, [*old, *new]), "ada")["sql"]
    aged = estimates(measured(tmp_path, [*old, *new], half_life_days=10), "ada")["sql"]
    assert plain.score == pytest.approx(10 * 5 / 14)
    assert aged.weight == pytest.approx(4 + 8 / 8)
    assert aged.score == pytest.approx(10 * (1 + 4) / (2 + 5))
    assert aged.high - aged.low > plain.high - plain.low


def test_by_tag_per_snapshot_and_per_agent(tmp_path):
    rows = [
        episode(1),
        episode(2, "failed", workspace_tree="tree-2"),
        episode(3, agent_id="bob", tags=("slow",)),
        episode(4, tags=()),
    ]
    tags = measured(tmp_path, rows, by="tags")
    assert tags.select("agent_id", "domain", "n_episodes").rows() == [
        ("ada", "db", 2),
        ("ada", "slow", 2),
        ("bob", "slow", 1),
    ]
    trees = measured(tmp_path, rows, per_snapshot=True)
    assert trees.select("agent_id", "snapshot", "n_passed").rows() == [
        ("ada", "tree-1", 2),
        ("ada", "tree-2", 0),
        ("bob", "tree-1", 1),
    ]


def test_a_domain_without_evidence_is_there_and_unknown(tmp_path):
    found = estimates(measured(tmp_path, [episode(1)]), "ada", ["SQL", "law"])
    assert list(found) == ["SQL", "law"]
    assert found["SQL"].n_episodes == 1
    assert found["law"].score is None
    assert found["law"].note == "no attempts yet"
    assert estimates(measured(tmp_path / "empty", []), "ada", ["law"])["law"].score is None


def test_names_that_differ_in_case_spaces_or_composition_are_one_domain(tmp_path):
    rows = [episode(k, category="SQL") for k in range(5)]
    rows += [episode(10 + k, "failed", category="sql ") for k in range(3)]
    found = estimates(measured(tmp_path, rows), "ada", ["sql"])["sql"]
    assert (found.n_passed, found.n_episodes) == (5, 8)
    twins = [episode(20, category="Qu\u00e9bec"), episode(21, category="Que\u0301bec")]
    assert measured(tmp_path / "twins", twins)["n_episodes"].to_list() == [2]


def test_what_was_taken_back_is_no_part_of_the_lineage():
    assert standing_trees(["c", "b", "a"]) == ("c", "b", "a")
    assert standing_trees(["a", "bad", "a", "seed"]) == ("a", "seed")
    assert standing_trees([]) == ()


def test_the_present_agent_is_measured_and_its_past_is_a_prior_that_decays(tmp_path):
    lineage = {"ada": ("now", "before", "seed")}
    before = [episode(k, "failed", workspace_tree="before") for k in range(4)]
    now = [episode(10 + k, workspace_tree="now") for k in range(4)]
    found = estimates(measured(tmp_path, [*before, *now], lineages=lineage), "ada")["sql"]
    assert found.weight == pytest.approx(4 + 4 / 2)
    assert found.score == pytest.approx(10 * (4 + 1) / (6 + 2))


def test_baselines_count_and_rolled_back_candidates_do_not(tmp_path):
    """Ten of ten as it stands, none of ten in a state that was taken back: a good agent."""
    stands = [episode(k, workspace_tree="t0", arm="baseline") for k in range(10)]
    tried = [episode(20 + k, "failed", workspace_tree="t1", arm="candidate") for k in range(10)]
    without = [episode(40, "failed", workspace_tree="t0", arm="without")]
    every = [*stands, *tried, *without]
    found = estimates(measured(tmp_path, every, lineages={"ada": ("t0",)}), "ada")["sql"]
    assert (found.n_passed, found.n_episodes) == (10, 10)
    assert found.exhausted(5)
    unknown = estimates(measured(tmp_path / "other", every), "ada")["sql"]
    assert (unknown.n_passed, unknown.n_episodes) == (0, 10)


def test_another_model_is_another_agent_by_half(tmp_path):
    old = [episode(k, "failed", model="small", ended_at=NOW - timedelta(days=1)) for k in range(4)]
    new = [episode(10 + k, model="large") for k in range(4)]
    found = estimates(measured(tmp_path, [*old, *new], lineages={"ada": ("tree-1",)}), "ada")
    assert found["sql"].weight == pytest.approx(4 + 4 / 2)


def test_a_domain_is_mastered_when_no_task_is_left_to_learn_from(tmp_path):
    later = NOW + timedelta(hours=1)
    failed = [episode(0, "failed"), episode(1, "failed")]
    mended = [
        episode(10 + k, task_id=f"t{k % 2}", ended_at=later + timedelta(minutes=k))
        for k in range(6)
    ]
    found = estimates(measured(tmp_path, [*failed, *mended], lineages={}), "ada")["sql"]
    assert (found.clean, found.open_tasks) == (6, 0)
    assert found.exhausted(5)
    assert not found.exhausted(7)
    # (1 + 6) of 10 with the prior; 0.95 needs (7 + n) of (10 + n): 50 more.
    assert found.passes_missing(0.95, 10) == 50
    half = estimates(measured(tmp_path / "half", [*failed, *mended[::2]]), "ada")["sql"]
    assert half.open_tasks == 1  # t1 failed last
    assert not half.exhausted(3)


def test_a_task_under_two_ids_is_one_task_to_learn_from(tmp_path):
    """By its content, or in other words; a task that was changed goes by its id."""
    later = NOW + timedelta(hours=1)
    failed = [episode(k, "failed", task_digest=f"d{k}") for k in range(3)]
    copies = [
        episode(10, task_id="copy-0", task_digest="d0", ended_at=later),
        episode(11, task_id="worded-1", task_digest="w1", ended_at=later),
        episode(12, task_id="t2", task_digest="changed", ended_at=later),
    ]
    ledger = Ledger(tmp_path)
    for name, mark in (("t1", "d1"), ("worded-1", "w1")):
        part = TaskPartRow(
            run_key="r", task_id=name, task_digest=mark, twins=("tests 1",), part="seen"
        )
        ledger.append([part], run_key="r")
    ledger.append([*failed, *copies], run_key="r")
    episodes, parts = ledger.scan(Episode), ledger.scan(TaskPartRow)
    assert estimates(measure(episodes, as_of=NOW, parts=parts), "ada")["sql"].open_tasks == 0
    again = [
        episode(20 + k, "failed", task_id=name, task_digest="d0", ended_at=later + timedelta(1))
        for k, name in enumerate(("t0", "copy-0", "copy-b"))
    ]
    ledger.append(again, run_key="r")
    found = estimates(measure(ledger.scan(Episode), as_of=NOW, parts=parts), "ada")["sql"]
    assert found.open_tasks == 1


def test_mastery_is_shown_on_tasks_that_were_not_trained_on(tmp_path):
    trained = [episode(k) for k in range(6)]
    found = estimates(measured(tmp_path, trained), "ada")["sql"]
    assert found.exhausted(3)
    assert not found.mastered(3)
    assert found.unseen_missing(3) == 3
    asked = CompetencySettings(min_episodes=3, target_index=0.5)
    priced = found.model_copy(update={"mean_cost_usd": 0.5})
    told = evidence_note(priced, asked)
    assert "3 more passes at such tasks are missing, about $1.5000" in told
    free = evidence_note(found.model_copy(update={"mean_cost_usd": 0.0}), asked)
    assert free.endswith("3 more passes at such tasks are missing")
    cheap = evidence_note(found.model_copy(update={"mean_cost_usd": 0.001}), asked)
    assert cheap.endswith("are missing, about $0.0030")
    held = [episode(20 + k, purpose=Purpose.TRAIN, task_id="held") for k in range(3)]
    again = estimates(measured(tmp_path / "held", [*trained, *held]), "ada")["sql"]
    assert again.mastered(3)
    assert "trained on" not in evidence_note(again, asked)
    seen = [episode(30, purpose=Purpose.ADAPT, task_id="held", ended_at=NOW - timedelta(days=9))]
    late = estimates(measured(tmp_path / "seen", [*trained, *held, *seen]), "ada")["sql"]
    assert (late.clean_unseen, late.mastered(3)) == (0, False)


def test_a_copy_of_what_was_trained_on_shows_no_mastery(tmp_path):
    trained = [episode(k, task_digest=f"d{k}") for k in range(3)]
    copies = [
        episode(20 + k, purpose=Purpose.TRAIN, task_id=f"copy-{k}", task_digest=f"d{k}")
        for k in range(3)
    ]
    found = estimates(measured(tmp_path, [*trained, *copies]), "ada")["sql"]
    assert (found.n_episodes, found.clean_unseen, found.mastered(3)) == (6, 0, False)
    assert {"t0", "d0"} <= practised_by(Ledger(tmp_path), "ada")
    assert "copy-0" not in practised_by(Ledger(tmp_path), "ada")


def test_a_task_in_other_words_shows_no_mastery_either(tmp_path):
    ledger = Ledger(tmp_path)
    for k in range(3):
        for name in (f"t{k}", f"worded-{k}"):
            part = TaskPartRow(
                run_key="r",
                task_id=name,
                task_digest=f"digest {name}",
                fingerprint=f"words {name}",
                twins=(f"tests {k}",),
                part="learned" if name[0] == "t" else "seen",
            )
            ledger.append([part], run_key="r")
    trained = [episode(k, task_digest=f"digest t{k}") for k in range(3)]
    worded = [
        episode(
            20 + k, purpose=Purpose.TRAIN, task_id=f"worded-{k}", task_digest=f"digest worded-{k}"
        )
        for k in range(3)
    ]
    ledger.append([*trained, *worded], run_key="r")
    parts = ledger.scan(TaskPartRow)
    found = estimates(measure(ledger.scan(Episode), as_of=NOW, parts=parts), "ada")["sql"]
    assert (found.n_episodes, found.clean_unseen, found.mastered(3)) == (6, 0, False)
    assert "digest worded-0" in practised_by(ledger, "ada")


def test_an_attempt_that_a_tracker_was_told_of_counts_once(tmp_path):
    """Trainings tell the router of their attempts, which the ledger measures, too."""
    ledger, log = Ledger(tmp_path), OutcomeLog(Ledger(tmp_path), "ada")
    earlier = [episode(k, "failed", purpose=Purpose.TRAIN) for k in range(4)]
    told = [episode(10 + k, purpose=Purpose.TRAIN, arm="candidate") for k in range(3)]
    ledger.append([*earlier, *told], run_key="r")
    [alone] = members_of(ledger, RouteSettings(work_dir=tmp_path, member=["ada"]), ["sql"])
    assert alone.tracker.competency("sql") == pytest.approx(10 * (3 + 1) / (7 + 2))
    for each in told:
        log.append(
            OutcomeRow(
                outcome_id=each.episode_id,
                domain="sql",
                success=True,
                agent_id="ada",
                episode_id=each.episode_id,
                at=NOW,
            )
        )
    [member] = members_of(ledger, RouteSettings(work_dir=tmp_path, member=["ada"]), ["sql"])
    seed = 10 * 1 / (4 + 2)
    assert member.tracker.competency("sql") == pytest.approx(0.7**3 * seed + (1 - 0.7**3) * 10)


def snapshot(tree: str) -> Snapshot:
    return Snapshot(commit=tree * 20, tree=tree * 20, skills_digest="")


def scored(scores: dict[str, float]) -> list[Episode]:
    return [
        episode(number, task_id=task, score=score)
        for number, (task, score) in enumerate(scores.items())
    ]


@pytest.mark.parametrize(
    ("before", "after", "held", "status"),
    [
        ({"a": 0, "h": 0}, {"a": 1, "h": 1}, {"h"}, "done"),
        ({"a": 0, "h": 1}, {"a": 1, "h": 1}, {"h"}, "done"),  # nothing to gain there
        (
            {"a": 0, "h": 0},
            {"a": 1, "h": 0},
            {"h"},
            "unproven",
        ),  # learned by heart, for all we know
        ({"a": 0, "h": 1}, {"a": 1, "h": 0}, {"h"}, "unhelpful"),
        ({"a": 0, "h": 0}, {"a": 0, "h": 0}, {"h"}, "unhelpful"),
        ({"a": 0}, {"a": 1}, set(), "unproven"),
        ({"a": 1}, {"a": 1}, set(), "unhelpful"),
    ],
)
def test_done_is_said_of_tasks_that_were_held_out(before, after, held, status):
    found = weighed(
        scored(before), scored(after), snapshot("aa"), snapshot("bb"), scale=10, held=held
    )
    assert found.status == status, found.note
    if status == "unproven":
        assert "held" in found.note


def test_a_training_of_which_no_attempt_has_a_score_says_why():
    spoiled = [episode(0, "error", score=None, error_detail="model_rejected: bad key")]
    found = weighed(spoiled, spoiled, snapshot("aa"), snapshot("bb"), scale=10)
    assert found.status == "failed"
    assert "bad key" in found.note


class Named(NamedTuple):
    """A task as far as it is told from copies."""

    task_id: str
    cluster: str
    fingerprint: str
    twins: tuple[str, ...] = ()


def named(name: str, text: str = "") -> Named:
    return Named(name, name, text or name)


def test_the_same_tasks_stay_held_out(tmp_path):
    ledger, tasks = Ledger(tmp_path), [named(f"t{k}") for k in range(6)]
    first = held_out(ledger, "ada", tasks, 0.34)
    assert len(first) == 2
    practised = [each.task_id for each in tasks if each.task_id not in first]
    ledger.append([episode(int(name[1:])) for name in practised], run_key="r")
    assert held_out(ledger, "ada", tasks, 0.34) == first
    assert held_out(ledger, "ada", tasks[:1], 0.34) == frozenset()
    assert held_out(ledger, "ada", tasks, 0.0) == frozenset()
    assert len(held_out(ledger, "ada", tasks[:2], 0.9)) == 1


def test_a_copy_of_what_is_trained_on_is_not_held_out(tmp_path):
    tasks = [*(named(f"t{k}") for k in range(6)), *(named(f"copy-{k}", f"t{k}") for k in range(6))]
    held = held_out(Ledger(tmp_path), "ada", tasks, 0.34)
    assert len(held) == 4
    assert {f"copy-{name[1:]}" for name in held if name[0] == "t"} <= held
    assert held_out(Ledger(tmp_path), "ada", tasks[::6], 0.9) == frozenset(), "nothing to train on"


def test_the_lineage_is_read_from_the_workspace(tmp_path):
    made = agent(tmp_path, "ada", "version-control")
    base = made.snapshot()
    with made.writing() as root:
        (root / "prompts" / "more.md").write_text("Try this.\n")
        made.commit("a candidate")
    tried = made.snapshot()
    assert lineage_of(Home.at(tmp_path), "ada")[:2] == (tried.tree, base.tree)
    with made.writing():
        made.rollback(base.commit, reason="no good", step="t/rollback")
    assert tried.tree not in lineage_of(Home.at(tmp_path), "ada")
    assert lineage_of(Home.at(tmp_path), "ada")[0] == base.tree
    assert lineage_of(Home.at(tmp_path), "nobody") == ()
