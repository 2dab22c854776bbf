from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from scipy.stats import beta

from grindstone.competency import estimates, measure
from grindstone.ledger import Ledger
from grindstone.records import Episode, Outcome, Purpose

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
