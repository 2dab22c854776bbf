"""`SkillBenchAgent` as the documents use it, with the rehearsal as its model."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
from support.agents import black_box_agent

from grindstone.agents import SkillBenchAgent
from grindstone.errors import InputError
from grindstone.llm import Journal
from grindstone.records import StepKind
from grindstone.resources import bundled
from grindstone.settings import FeedbackLevel, Profile
from grindstone.skills import Skill
from grindstone.skills.task_skill import write_task_skill

TASK = "examples/tasks/plain-inventory"


@pytest.mark.docker
async def test_one_task_from_one_call(tmp_path: Path) -> None:
    agent = SkillBenchAgent(
        workspace_dir=tmp_path / "skillbench",
        model_id="rehearsal",
        region="us-west-2",
        max_tokens=16384,
        execution_mode="native",
        native_profile="strands",
        score_mode="dual",
        skill_select_limit=0,
        sandbox="docker",
        run_key="one",
    )
    solved = await agent.solve(bundled(TASK))
    assert solved.task_id == "plain-inventory"
    assert solved.passed
    assert solved.score == 1.0
    assert any(step.kind is StepKind.AGENT for step in solved.trajectory.steps)
    assert [use.skill for use in solved.skill_uses] == [
        "data-formats",
        "environment-discovery",
        "python-packages",
        "skill-usage",
    ]
    assert (tmp_path / "runs" / "one" / "journal").is_dir()


@pytest.mark.bubblewrap
async def test_a_program_works_in_its_place(tmp_path: Path) -> None:
    agent = SkillBenchAgent(
        tmp_path / "ws",
        "rehearsal",
        agent=str(black_box_agent(tmp_path)),
        sandbox="bubblewrap",
        run_key="one",
    )
    assert agent.native_profile is Profile.COMMAND
    solved = await agent.solve(bundled(TASK))
    assert solved.passed
    assert any(call.name == "bash" for step in solved.trajectory.steps for call in step.calls)
    offered = {use.skill for use in solved.skill_uses}
    assert "skill-usage" in offered
    told = solved.observation(FeedbackLevel.TESTS)
    assert told.task_id == "plain-inventory"
    again = await SkillBenchAgent(
        tmp_path / "ws",
        "rehearsal",
        agent=str(black_box_agent(tmp_path)),
        sandbox="bubblewrap",
        run_key="one",
    ).solve(bundled(TASK))
    assert again.passed
    journal = Journal(tmp_path / "runs" / "one" / "journal")
    assert len([*journal.entries()]) == sum(
        step.kind is StepKind.AGENT for step in solved.trajectory.steps
    ), "the second time nothing is asked"


@pytest.mark.docker
async def test_of_two_skills_the_one_for_the_tasks_category_is_the_first(tmp_path: Path) -> None:
    agent = SkillBenchAgent(
        tmp_path / "ws",
        "rehearsal",
        native_profile="strands",
        sandbox="docker",
        skill_select_limit=2,
        max_steps=1,
    )
    solved = await agent.solve(bundled("examples/tasks/branch-sales"))
    assert "data-formats" in [use.skill for use in solved.skill_uses]
    assert "- data-formats: " in solved.trajectory.steps[0].message


@pytest.mark.docker
async def test_what_evolves_shows_after_reload(tmp_path: Path) -> None:
    agent = SkillBenchAgent(
        tmp_path / "ws", "rehearsal", native_profile="strands", sandbox="docker", max_steps=1
    )
    with agent.workspace.writing() as root:
        folder = root / "skills" / "new-one"
        folder.mkdir()
        (folder / "SKILL.md").write_text("---\nname: new-one\ndescription: When new.\n---\nBody.\n")
        agent.workspace.commit("Learn something new")

    def prompt_of(steps: tuple[object, ...]) -> str:
        return str(steps[0].message)  # type: ignore[attr-defined]

    before = await agent.solve(bundled(TASK), trial=1)
    assert "new-one" not in prompt_of(before.trajectory.steps)
    agent.reload()
    after = await agent.solve(bundled(TASK), trial=1)
    assert "- new-one: When new." in prompt_of(after.trajectory.steps)


@pytest.mark.docker
async def test_prompt_memories_and_scripts_of_the_workspace_reach_the_agent(
    tmp_path: Path,
) -> None:
    seed = tmp_path / "seed"
    shutil.copytree(bundled("seed_workspaces/skillbench"), seed)
    (seed / "manifest.yaml").write_text("name: own\nsystem_prompt: AGENT.md\n")
    shutil.rmtree(seed / "prompts")
    (seed / "AGENT.md").write_text("Count twice.\n")
    rows = ({"content": "First."}, {"memory": "Second."}, {"note": "Third.\ud800"}, {"x": "no"})
    (seed / "memory" / "memories.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (seed / "tools").mkdir()
    (seed / "tools" / "rows.sh").write_text("#!/bin/sh\n# Counts rows.\nwc -l < $1\n")
    agent = SkillBenchAgent(
        tmp_path / "ws",
        "rehearsal",
        native_profile="strands",
        sandbox="docker",
        max_steps=1,
        seed_workspace=seed,
    )
    solved = await agent.solve(bundled(TASK))
    prompt = solved.trajectory.steps[0].message
    assert "Count twice." in prompt
    assert "- First.\n- Second.\n- Third.?\n" in prompt
    assert "- /root/.agents/tools/rows.sh: Counts rows." in prompt


FAKE = """#!{python}
import json, pathlib, sys
given = dict(zip(sys.argv[2:], sys.argv[3:]))
trial = pathlib.Path(given["--jobs-dir"], given["--job-name"], "trial")
(trial / "verifier").mkdir(parents=True)
(trial / "verifier" / "reward.txt").write_text("1")
(trial / "result.json").write_text("{{}}")
pathlib.Path({seen!r}).write_text(json.dumps(sys.argv))
"""


@pytest.fixture
def harbor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in Harbor's place that writes down how it was called."""
    program = tmp_path / "bin" / "harbor"
    program.parent.mkdir()
    program.write_text(FAKE.format(python=sys.executable, seen=str(tmp_path / "seen")))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.commands
@pytest.mark.usefixtures("harbor")
async def test_harbor_is_given_the_tasks_own_skill_though_no_other_was_chosen(
    tmp_path: Path,
) -> None:
    agent = SkillBenchAgent(
        tmp_path / "ws", "claude-sonnet-4-5", execution_mode="harbor", skill_select_limit=1
    )
    with agent.workspace.writing() as root:
        shutil.rmtree(root / "skills")
        own = Skill(name="plain-inventory", description="When counting.", body="Count.")
        write_task_skill(root, "plain-inventory", own)
        agent.workspace.commit("One skill, of one task")
    agent.reload()
    solved = await agent.solve(bundled(TASK))
    seen = json.loads((tmp_path / "seen").read_text())
    [skill] = [seen[at + 1] for at, word in enumerate(seen) if word == "--skill"]
    assert Path(skill).name == "plain-inventory"
    assert len(solved.skill_uses) == 1


@pytest.mark.parametrize(
    ("path", "text", "named"),
    [
        ("prompts/system.md", "Count twice.\n", "the system prompt prompts/system.md"),
        ("memory/memories.jsonl", '{"content": "Once."}\n', "memory/"),
        ("tools/rows.sh", "wc -l\n", "tools/"),
    ],
)
@pytest.mark.usefixtures("harbor")
async def test_what_harbors_agent_would_not_be_told_is_refused_by_name(
    tmp_path: Path, path: str, text: str, named: str
) -> None:
    agent = SkillBenchAgent(tmp_path / "ws", "claude-sonnet-4-5", execution_mode="harbor")
    with agent.workspace.writing() as root:
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(text)
        agent.workspace.commit("More than skills")
    agent.reload()
    with pytest.raises(InputError, match=f"would not be told {named}"):
        await agent.solve(bundled(TASK))
    assert not (tmp_path / "seen").exists()


@pytest.mark.commands
@pytest.mark.usefixtures("harbor")
async def test_harbor_is_given_the_skills(tmp_path: Path) -> None:
    agent = SkillBenchAgent(
        tmp_path / "ws", "claude-sonnet-4-5", execution_mode="harbor", skill_select_limit=1
    )
    solved = await agent.solve(bundled(TASK))
    assert solved.passed
    seen = json.loads((tmp_path / "seen").read_text())
    assert seen[seen.index("--agent") + 1] == "terminus-2"
    assert "max_turns=100" in seen
    assert 'llm_call_kwargs={"max_tokens": 16384}' in seen
    skills = [seen[at + 1] for at, word in enumerate(seen) if word == "--skill"]
    assert len(skills) == 1
    assert Path(skills[0]).name == solved.skill_uses[0].skill


def test_wrong_choices_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="terminus2"):
        SkillBenchAgent(tmp_path / "ws", native_profile="terminus3")
    with pytest.raises(InputError, match="native or harbor"):
        SkillBenchAgent(tmp_path / "ws", execution_mode="cloud")
    for choice, named in (
        ({"native_profile": "terminus2_legacy"}, "no agent like terminus2_legacy"),
        ({"sandbox": "bubblewrap"}, "Harbor has its own"),
        ({"agent_command": "claude -p x"}, "agent_command: is not for Harbor"),
        ({"solver": "a:b"}, "solver: is not for Harbor"),
        ({"agent": "--mount"}, "Harbor's name"),
        ({"agent": "codex", "native_profile": "oracle"}, "native_profile: is given with agent"),
    ):
        with pytest.raises(InputError, match=named):
            SkillBenchAgent(tmp_path / "ws", execution_mode="harbor", **choice)


@pytest.mark.usefixtures("harbor")
async def test_any_of_harbors_own_agents_is_passed_through(tmp_path: Path) -> None:
    def agent(**more: object) -> SkillBenchAgent:
        given = {"agent": "openhands", "execution_mode": "harbor", **more}
        return SkillBenchAgent(tmp_path / "ws", "openai:gpt-4o", **given)

    refused = agent(max_steps=7, max_tokens=99, region="us-west-2")
    with pytest.raises(InputError) as caught:
        await refused.solve(bundled(TASK))
    for name in ("max_steps", "max_tokens", "region"):
        assert f"{name}: Harbor's agent openhands is not told of it" in str(caught.value)
    with pytest.raises(InputError, match="Harbor is not told of openai:x@http"):
        await SkillBenchAgent(
            tmp_path / "ws",
            "openai:x@http://localhost:1/v1",
            agent="codex",
            execution_mode="harbor",
        ).solve(bundled(TASK))
    assert not (tmp_path / "seen").exists()
    assert (await agent().solve(bundled(TASK))).passed
    seen = json.loads((tmp_path / "seen").read_text())
    assert seen[seen.index("--agent") + 1] == "openhands"
    assert seen[seen.index("--model") + 1] == "openai/gpt-4o"
    assert "--agent-kwarg" not in seen
    assert "--skill" in seen
