"""That a run's settings of grading reach its attempts, and leave older attempts their identity."""

from pathlib import Path

import pytest

from grindstone.attempt.run import AttemptResources, attempt
from grindstone.attempt.spec import AttemptSpec, SolverSettings
from grindstone.benchmark import load_task
from grindstone.records import Purpose
from grindstone.sandbox.protocol import SandboxProvider
from grindstone.settings import GrindSettings, Profile

FILES = {
    "instruction.md": "Write 42 to /app/answer.\n",
    "task.toml": "[environment]\nallow_internet = false\n",
    "environment/Dockerfile": "FROM debian:bookworm-slim\nWORKDIR /app\n",
    "solution/solve.sh": "echo 42 > /app/answer; touch /etc/left\n",
    "tests/test.sh": "grep -q 42 answer && [ ! -e /etc/left ]\n"
    "echo $(( ! $? )) > /logs/verifier/reward.txt\n",
}


@pytest.mark.catalogue
@pytest.mark.parametrize(("verifier", "reward"), [("task", 0), ("separate", 1)])
async def test_a_runs_verifier_decides_where_its_attempts_are_graded(
    provider: SandboxProvider, tmp_path: Path, verifier: str, reward: float
):
    for name, text in FILES.items():
        (tmp_path / "left" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "left" / name).write_text(text)
    task = load_task(tmp_path / "left")
    settings = GrindSettings(native_profile=Profile.ORACLE, verifier=verifier)
    spec = AttemptSpec(
        home=tmp_path,
        run_key="R",
        agent_id="skillbench",
        purpose=Purpose.GRIND,
        task_id=task.task_id,
        task_dir=task.path,
        task_digest=task.digest,
        workspace_commit="",
        workspace_tree="",
        solver=SolverSettings.of(settings, model_id="", sandbox=provider.kind),
    )
    rig = AttemptResources(provider=provider, model=None, workspace=tmp_path, calls_of=lambda _: ())
    done = await attempt(spec, rig)
    assert (done.episode.reward, done.episode.basis) == (reward, "tests")


def test_settings_that_came_later_change_no_identity_at_their_defaults():
    plain = SolverSettings.of(GrindSettings(), model_id="m", sandbox="docker")
    assert not plain.identity().keys() & {"verifier", "trust_disputed"}
    other = plain.model_copy(update={"verifier": "separate"})
    assert other.identity()["verifier"] == "separate"
    assert "trust_disputed" not in other.identity()
