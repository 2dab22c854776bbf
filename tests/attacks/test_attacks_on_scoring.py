"""Ways out of a score: an agent that fails must not be able to have no score instead."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from grindstone.attempt.run import error_episode
from grindstone.attempt.spec import AttemptSpec, SolverSettings
from grindstone.benchmark import Task, load_task
from grindstone.errors import Cause, InfrastructureError
from grindstone.ledger import Ledger
from grindstone.records import Outcome, Purpose
from grindstone.report import build_report, render_markdown
from grindstone.resources import bundled
from grindstone.settings import Profile, ScoreMode


@pytest.fixture
def task() -> Iterator[Task]:
    return load_task(bundled("examples/tasks") / "plain-inventory")


@pytest.fixture
def spec(task: Task, tmp_path: Path) -> AttemptSpec:
    return AttemptSpec(
        home=tmp_path,
        run_key="voids",
        agent_id="skillbench",
        purpose=Purpose.GRIND,
        task_id=task.task_id,
        task_dir=task.path,
        task_digest=task.digest,
        workspace_commit="0",
        workspace_tree="0",
        solver=SolverSettings(
            model_id="rehearsal",
            profile=Profile.TERMINUS2,
            score_mode=ScoreMode.DUAL,
            sandbox="docker",
        ),
    )


def lost(cause: Cause, *, began: bool) -> InfrastructureError:
    error = InfrastructureError(cause, "what was seen")
    error.agent_began = began
    return pickle.loads(pickle.dumps(error))  # as it comes from a worker


@pytest.mark.parametrize("cause", [Cause.CONTAINER_LOST, Cause.SANDBOX_IO])
def test_a_sandbox_lost_under_the_agents_hands_is_a_score_of_nothing(spec, task, cause, tmp_path):
    episode = error_episode(spec, task, lost(cause, began=True), cause.value)
    assert (episode.outcome, episode.score, episode.basis) == (Outcome.FAILED, 0, "void")
    assert "what was seen" in episode.evidence
    ledger = Ledger(tmp_path)
    ledger.append([episode], run_key=spec.run_key)
    report = build_report(ledger, spec.run_key)
    assert (report.n_scored, report.passed, report.errors) == (1, 0, ())
    assert "1 voided by the agent" in render_markdown(report)


def test_an_attackers_run_is_told_with_its_limit(spec, task, tmp_path):
    solver = spec.solver.model_copy(update={"profile": Profile.CHEATER})
    ledger = Ledger(tmp_path)
    for trial in range(3):
        tried = spec.model_copy(update={"solver": solver, "trial": trial})
        error = lost(Cause.SANDBOX_IO, began=True)
        episode = error_episode(tried, task, error, "sandbox_io")
        ledger.append([episode], run_key=spec.run_key)
    told = render_markdown(build_report(ledger, spec.run_key))
    assert "forged 0 of 1, at most 95.0% (95%)" in told  # one task


@pytest.mark.parametrize(
    ("cause", "began"),
    [
        (Cause.CONTAINER_LOST, False),
        (Cause.SANDBOX_IO, False),
        (Cause.ENGINE_UNAVAILABLE, True),
        (Cause.VERIFIER_BROKEN, True),
        (Cause.OVERLOADED, True),
    ],
)
def test_what_happened_without_the_agent_has_no_score(spec, task, cause, began):
    episode = error_episode(spec, task, lost(cause, began=began), cause.value)
    assert (episode.outcome, episode.score) == (Outcome.ERROR, None)
