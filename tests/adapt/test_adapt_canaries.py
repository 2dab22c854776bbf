"""What only a task's graders may know reaches no model, whoever is asked, at any level.

Every part of a task that holds a right answer or a secret carries a string of its own. The
requests of all roles are searched as they pass the wire.
"""

import shutil
from pathlib import Path
from typing import Any

import pytest
from support.wiretap import Wiretap, role_of

from grindstone.flows.adapt import adapt
from grindstone.flows.grind import grind
from grindstone.ledger import Ledger
from grindstone.records import Episode
from grindstone.resources import bundled
from grindstone.settings import AdaptiveSettings, FeedbackLevel, GrindSettings

pytestmark = [
    pytest.mark.catalogue(of="what misleads a learner"),
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.timeout(300),
]

BY_THE_VERIFIER = {"qzoutput", "qzmessage", "qztrace", "qzparameter"}
"""What the verifier prints and reports: level full shows it."""

NEVER = {"qzsource", "qzdata", "qzsolution", "qzprinted", "qzleft", "qzwritten", "qzpassed"}

TEST_SH = """#!/bin/sh
# qzsource
mkdir -p /logs/verifier
grep -q "$(cat /tests/expected.txt)" /app/out/answer.txt 2>/dev/null || echo "expected qzoutput"
echo {reward} > /logs/verifier/reward.txt
cat > /logs/verifier/ctrf.json <<'END'
{{"results": {{"tool": {{"name": "t"}}, "summary": {{}}, "tests": [
 {{"name": "test_shape[qzparameter]", "status": "{status}", "message": "assert qzmessage == 4",
  "trace": "test_it.py:7: AssertionError: assert 'qztrace' in found"}}]}}}}
END
"""
SOLVE_SH = """#!/bin/sh
# qzsolution
echo qzprinted
mkdir -p /app/out && echo qzleft > /app/out/answer.txt
"""
SECRETS = """
[verifier.env]
WRITTEN = "qzwritten"
PASSED = "${QZ_TOKEN}"
[solution.env]
ALSO_WRITTEN = "qzwritten"
"""
LONG = "---\nname: long-one\ndescription: When a table must be read.\n---\n\n## Steps\n"


def plant(tasks: Path, task_id: str, reward: float, status: str) -> None:
    """Copy a bundled task, with a canary in every part that only graders may know."""
    folder = tasks / task_id
    shutil.copytree(bundled("examples/tasks") / task_id, folder)
    shutil.rmtree(folder / "tests")
    (folder / "tests").mkdir()
    (folder / "tests" / "test.sh").write_text(TEST_SH.format(reward=reward, status=status))
    (folder / "tests" / "expected.txt").write_text("qzdata\n")
    (folder / "solution" / "solve.sh").write_text(SOLVE_SH)
    with (folder / "task.toml").open("a") as toml:
        toml.write(SECRETS)


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Settings of a run over a task that fails and one that passes, both full of canaries."""
    monkeypatch.setenv("QZ_TOKEN", "qzpassed")
    monkeypatch.setenv("GRINDSTONE_PASS_ENV", "QZ_TOKEN")
    plant(tmp_path / "tasks", "crlf-kit", 0.4242, "failed")
    plant(tmp_path / "tasks", "plain-inventory", 1, "passed")
    seed = tmp_path / "seed"
    shutil.copytree(bundled("seed_workspaces/skillbench"), seed)
    (seed / "skills" / "long-one").mkdir()
    (seed / "skills" / "long-one" / "SKILL.md").write_text(LONG + "Look again.\n" * 900)
    return {
        "work_dir": tmp_path / "home",
        "tasks_dir": tmp_path / "tasks",
        "seed_workspace": seed,
        "model_id": "rehearsal",
        "max_workers": 2,
    }


def found_in(requests: list[str]) -> set[str]:
    text = "\n".join(requests).lower()
    return {canary for canary in BY_THE_VERIFIER | NEVER if canary in text}


def asked(tap: Wiretap) -> dict[str, list[str]]:
    roles = {role_of(body) for body in tap.bodies}
    return {role: tap.of(role) for role in roles}


@pytest.mark.catalogue
@pytest.mark.parametrize("level", list(FeedbackLevel))
async def test_a_grind_tells_no_model_what_graders_know(
    planted: dict[str, Any], tap: Wiretap, prefect_server: str, level: FeedbackLevel
):
    await grind(
        GrindSettings.model_validate(
            planted
            | {
                "feedback_level": level,
                "batch_size": 2,
                "max_cycles": 2,
                "distill": True,
                "evolve_memory": True,
                "evolve_prompts": True,
                "task_skill_mode": "pre_generate_and_retry",
            }
        )
    )
    requests = asked(tap)
    assert {"solver", "evolver", "task_skill", "distillation"} <= requests.keys()
    shown = {role: found_in(texts) for role, texts in requests.items()}
    assert not set.union(*shown.values()) & NEVER
    if level is not FeedbackLevel.FULL:
        assert not any(shown.values()), shown
    else:
        assert "qzoutput" in shown["evolver"], "the test has teeth"
        assert not shown["solver"] | shown["distillation"]
    told = "".join(requests["evolver"])
    assert ("0.424" in told) == (level is not FeedbackLevel.NONE)
    assert ("test_shape" in told) == (level not in (FeedbackLevel.NONE, FeedbackLevel.SCORE))


async def test_learning_without_labels_tells_no_role_anything_made_from_tests(
    planted: dict[str, Any], tap: Wiretap, prefect_server: str
):
    """Neither what verifiers print nor a verdict, a reward or a count of tests."""
    plant(planted["tasks_dir"], "visitor-report", 0.4242, "failed")
    given = planted | {
        "holdout_ratio": 0.0,
        "max_cycles": 2,
        "solver_proposed": True,
        "evolve_memory": True,
        "evolve_prompts": True,
        "feedback_level": "full",  # says nothing where nothing is labelled
    }
    done = await adapt(AdaptiveSettings.model_validate(given))
    requests = asked(tap)
    assert {"solver", "judge", "evolver", "distillation"} <= requests.keys()
    shown = {role: found_in(texts) for role, texts in requests.items()}
    assert not any(shown.values()), shown
    assert {row.reward for row in Ledger(given["work_dir"]).rows(Episode)} == {0.4242, 1.0}
    for role, texts in requests.items():
        told = "\n".join(texts)
        for label in ("0.42", "test_shape", "tests passed", "1/1 tests", "0/1 tests", "reward"):
            assert label not in told, (role, label)
        assert "qz" not in told.lower(), role
    assert done.report.n_evolutions
