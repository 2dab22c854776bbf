"""The evolver as the documents show it, run whole and offline."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SEED = Path(__file__).resolve().parents[2] / "seed_workspaces" / "skillbench"


def evolver(home: Path, **settings: object):
    from grindstone.flows.evolver import SkillBenchEvolver

    given = {"model_id": "rehearsal", "task_ids": ["branch-sales"], "success_mode": "off"}
    return SkillBenchEvolver(
        seed_workspace=SEED,
        work_dir=home,
        execution_mode="native",
        native_profile="terminus2",
        run_key="loop",
        **(given | settings),
    )


@pytest.mark.server
@pytest.mark.timeout(300)
def test_it_learns_and_stops_when_it_has(tmp_path: Path, prefect_server: str):
    result = evolver(tmp_path, egl_window=1, compare="end").run(cycles=6)
    assert result.converged
    assert [cycle.score for cycle in result.cycles] == [0.0, 1.0]
    assert result.final_score == 1.0
    assert [cycle.new_skills for cycle in result.cycles] == [1, 0]
    assert result.egl == (None, 0.0)
    assert result.run_key == "loop"
    assert result.report.run_key == "loop-c2"
    assert (result.folder / "report.md").is_file()
    assert result.cycles[0].comparison is None
    assert result.comparison is not None
    assert result.comparison.paired.difference == 1.0


@pytest.mark.server
@pytest.mark.timeout(300)
async def test_it_runs_beside_the_event_loop_of_a_notebook(tmp_path: Path, prefect_server: str):
    result = evolver(tmp_path).run(cycles=1)
    assert (len(result.cycles), result.converged, result.final_score) == (1, False, 0.0)
    again = evolver(tmp_path).run(cycles=1)
    assert again.report.total_tokens == result.report.total_tokens


SCRIPT = """
import sys
from grindstone.flows.evolver import SkillBenchEvolver
result = SkillBenchEvolver(work_dir=sys.argv[1], model_id="rehearsal", verbose={verbose},
    task_ids=["branch-sales"], success_mode="off", task_skill_mode="off").run(cycles=1)
print(result.final_score)
"""


@pytest.mark.catalogue
@pytest.mark.server
@pytest.mark.timeout(300)
@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.catalogue
def test_it_is_silent_unless_asked_to_speak(tmp_path: Path, prefect_server: str, verbose: bool):
    """In a process of its own, where Prefect set its loggers up when it was imported."""
    environ = {name: value for name, value in os.environ.items() if "LOGGING" not in name}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(verbose=verbose), str(tmp_path / "home")],
        env=environ | {"PREFECT_API_URL": prefect_server},
        capture_output=True,
        text=True,
        check=True,
        timeout=250,
    )
    assert done.stdout == "0.0\n"
    assert bool(done.stderr) == verbose, done.stderr


@pytest.mark.server
@pytest.mark.timeout(300)
async def test_a_ceiling_holds_for_the_loop(tmp_path: Path, prefect_server: str):
    result = await evolver(tmp_path, max_tokens_total=1).arun(cycles=3)
    assert len(result.cycles) == 1
    assert result.stopped == "run loop-c1 reached a ceiling"
    assert result.final_score is None
    assert not result.converged


def test_what_cannot_be_is_named(tmp_path: Path):
    from grindstone.errors import InputError
    from grindstone.flows.evolver import SkillBenchEvolutionLoop
    from grindstone.settings import GrindSettings

    with pytest.raises(InputError, match="execution_mode: is 'cloud'"):
        evolver_of(execution_mode="cloud")
    with pytest.raises(InputError, match=r"max_workers: .*greater than or equal to 1"):
        evolver_of(max_workers=0)
    assert evolver_of(holdout_ratio=0.5, gate_rule="improvement").settings.holdout_ratio == 0.5
    with pytest.raises(InputError, match="threshold needs a gate_threshold above 0"):
        evolver_of(holdout_ratio=0.5, gate_rule="threshold")
    with pytest.raises(InputError, match="cycels"):
        evolver_of(cycels=3)
    with pytest.raises(InputError, match="compare: is 'sometimes'"):
        SkillBenchEvolutionLoop(GrindSettings(), compare="sometimes")
    with pytest.raises(InputError, match="cycles: is 0"):
        evolver(tmp_path).run(cycles=0)


def evolver_of(**settings: object):
    from grindstone.flows.evolver import SkillBenchEvolver

    return SkillBenchEvolver(**settings)
