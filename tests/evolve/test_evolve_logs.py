"""What an evolution may be given to learn from, and how a configuration is read."""

import json
from pathlib import Path

import pytest

from grindstone.agents.skillbench import SkillBenchAgent
from grindstone.attempt.skillbench import Solved
from grindstone.errors import InputError
from grindstone.evolve import EvolutionEngine, EvolveConfig
from grindstone.evolve.observed import observations_of
from grindstone.observe.observation import LabelledObservation, UnlabelledObservation
from grindstone.resources import bundled

TASK = "examples/tasks/branch-sales"


async def solved(home: Path, profile: str) -> Solved:
    agent = SkillBenchAgent(home / "solver", "rehearsal", native_profile=profile, max_steps=2)
    return await agent.solve(bundled(TASK))


@pytest.mark.docker
async def test_what_solve_returns_can_be_learned_from_and_what_it_logged_too(
    evolver, model, any_provider, workspace, tmp_path
):
    engine = EvolutionEngine(EvolveConfig(), model=model, provider=any_provider)
    evolver.plays("nothing to learn", "nothing to learn")
    done = await engine.aevolve(workspace, observation_logs=[solved(tmp_path, "strands")])
    assert done.evo_number == 1
    told = workspace.current_observation()
    assert "## Task branch-sales" in told and "### Feedback" in told and "0 of 5" in told

    rows = workspace.recent_observations()
    assert len(rows) == 1
    again = await engine.aevolve(workspace, observation_logs=[*rows])
    assert again.evo_number == 2 and workspace.current_observation() == told


@pytest.mark.docker
async def test_the_solution_teaches_nothing(model, any_provider, workspace, tmp_path):
    engine = EvolutionEngine(EvolveConfig(), model=model, provider=any_provider)
    with pytest.raises(InputError, match="oracle, which asks no model and teaches nothing"):
        await engine.aevolve(workspace, observation_logs=[await solved(tmp_path, "oracle")])
    assert workspace.evolutions() == ()


async def test_a_dictionary_needs_little(observe):
    row = {"task_id": "t", "instruction": "Do it.", "trajectory": "$ ls", "category": "files"}
    [seen] = await observations_of([row], EvolveConfig())
    assert isinstance(seen, UnlabelledObservation) and "$ ls" in seen.to_markdown()
    labelled = json.loads(observe().model_dump_json())
    [same] = await observations_of([labelled], EvolveConfig())
    assert same.model_dump() == observe().model_dump()
    [bare] = await observations_of([labelled], EvolveConfig(trajectory_only=True))
    assert bare.model_dump() == observe().unlabelled().model_dump()


@pytest.mark.parametrize(
    ("log", "where"),
    [
        ("passed", "observation_logs[1]"),
        (None, "observation_logs[1]"),
        ({"instruction": "x"}, "observation_logs[1].task_id"),
        ({"task_id": "t", "instruction": "x", "passed": True}, "observation_logs[1].passed"),
        ({"task_id": "t", "instruction": "x", "feedback": 3}, "observation_logs[1].feedback"),
        ({"task_id": "t", "instruction": "x", "trajectory": {1}}, "observation_logs[1]"),
    ],
)
async def test_what_is_no_observation_is_told(observe, log, where):
    with pytest.raises(InputError) as error:
        await observations_of([observe(), log], EvolveConfig())
    assert error.value.where == where


async def test_labels_and_none_are_not_mixed(observe):
    both = [observe(), observe().unlabelled()]
    with pytest.raises(InputError, match="mixes"):
        await observations_of(both, EvolveConfig())
    assert all(
        not isinstance(seen, LabelledObservation)
        for seen in await observations_of(both, EvolveConfig(trajectory_only=True))
    )


DOCUMENTED = {
    "trajectory_only": False,
    "max_skills": 3,
    "evolve_skills": True,
    "evolve_prompts": False,
    "evolve_memory": False,
    "protect_skills": True,
    "solver_proposed": True,
    "prompt_only": False,
    "batch_size": 4,
    "holdout_ratio": 0.5,
    "egl_threshold": 0.2,
    "egl_window": 2,
}


def test_all_documented_fields_are_read_from_yaml_and_reach_the_run(tmp_path: Path):
    path = tmp_path / "evolve.yaml"
    path.write_text("".join(f"{name}: {json.dumps(value)}\n" for name, value in DOCUMENTED.items()))
    config = EvolveConfig.from_yaml(path)
    settings = config.adaptive(work_dir=tmp_path, limit=2)
    for name, value in DOCUMENTED.items():
        assert getattr(config, name) == value == getattr(settings, name), name
    assert (settings.work_dir, settings.limit) == (tmp_path, 2)
    unset = EvolveConfig(extra={"region": "us-west-2"}, evolver_model="claude-x").adaptive()
    assert unset.trajectory_only and unset.max_skills == 5 and unset.evolve_prompts
    assert (unset.region, unset.evolver_model_id) == ("us-west-2", "claude-x")
    with pytest.raises(InputError, match="evolve_tools"):
        EvolveConfig(evolve_tools=True).adaptive()


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("batch_size: 0", "evolve.yaml: batch_size"),
        ("bach_size: 2", "evolve.yaml: bach_size"),
        ("- a", "evolve.yaml"),
        ("a: [", "evolve.yaml"),
    ],
)
def test_a_wrong_file_names_its_field(tmp_path: Path, text: str, where: str):
    (tmp_path / "evolve.yaml").write_text(text)
    with pytest.raises(InputError) as error:
        EvolveConfig.from_yaml(tmp_path / "evolve.yaml")
    assert error.value.where.endswith(where)
