"""The two profiles without a model, and laying skills into a sandbox."""

from pathlib import Path

import pytest
from agents_script import brief

from grindstone.agents import inject_skills, solver_for
from grindstone.agents.sandbox_skills import PLACES
from grindstone.errors import InputError
from grindstone.records import StopReason
from grindstone.sandbox import Sandbox
from grindstone.settings import Profile


async def test_oracle_runs_the_solution_with_its_environment(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    solution = tmp_path / "solution"
    solution.mkdir()
    (solution / "solve.sh").write_text(
        'cat "$(dirname "$0")/data" > out; echo "$WHO" >> out; cat out'
    )
    (solution / "data").write_text("data\n")
    told = brief(solution_dir=str(solution), solution_env={"WHO": "me"})
    trajectory = await solver_for(Profile.ORACLE).solve(told, sandbox, None)
    assert trajectory.stop_reason is StopReason.SUBMITTED
    assert await sandbox.read_file("/app/out") == b"data\nme\n"
    assert trajectory.steps[-1].outputs[0].content == "data\nme\n"
    assert trajectory.steps[-1].outputs[0].exit_code == 0


@pytest.mark.docker
async def test_oracle_keeps_the_time_limit(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "solve.sh").write_text("echo begun; sleep 60")
    told = brief(solution_dir=str(tmp_path), effort={"time_limit_s": 1.0})
    trajectory = await solver_for(Profile.ORACLE).solve(told, sandbox, None)
    assert trajectory.stop_reason is StopReason.TIME_LIMIT
    assert trajectory.steps[-1].outputs[0].content == "begun\n"


async def test_oracle_without_a_solution_and_nop() -> None:
    with pytest.raises(InputError, match=r"solve\.sh"):
        await solver_for(Profile.ORACLE).solve(brief(), None, None)  # type: ignore[arg-type]
    trajectory = await solver_for(Profile.NOP).solve(brief(), None, None)  # type: ignore[arg-type]
    assert trajectory.stop_reason is StopReason.SUBMITTED
    assert not any(step.calls for step in trajectory.steps)


def skill(root: Path, name: str) -> Path:
    folder = root / name
    (folder / "scripts").mkdir(parents=True)
    (folder / "references").mkdir()
    (folder / "SKILL.md").write_text(
        f"---\nname: {name}\ndescription: About {name}.\n---\nUse it.\n"
    )
    (folder / "scripts" / "run.sh").write_text("#!/bin/sh\necho ran\n")
    (folder / "scripts" / "run.sh").chmod(0o755)
    (folder / "references" / "long.md").write_text("x" * 60_000)
    return folder


async def check_laid(sandbox: Sandbox) -> None:
    for place in PLACES:
        for name in ("alpha", "beta"):
            long = await sandbox.read_file(f"{place}/{name}/references/long.md")
            assert long == b"x" * 60_000
            run = await sandbox.exec(f"{place}/{name}/scripts/run.sh", timeout_s=20)
            assert run.output == "ran\n"


async def test_skills_are_laid_whole_in_four_places(sandbox: Sandbox, tmp_path: Path) -> None:
    own = "/root/.claude/skills/own/SKILL.md"
    await sandbox.write_files({own: b"the task's own"})
    # An image may link one place to another, or to nowhere.
    await sandbox.exec(
        "ln -s /root/.claude /root/.agents; mkdir /root/.codex; ln -s /gone /root/.codex/skills",
        timeout_s=20,
    )
    folders = {name: skill(tmp_path, name) for name in ("beta", "alpha")}
    cards = await inject_skills(sandbox, folders)
    assert [(card.name, card.description, card.path) for card in cards] == [
        ("alpha", "About alpha.", "/root/.agents/skills/alpha"),
        ("beta", "About beta.", "/root/.agents/skills/beta"),
    ]
    await check_laid(sandbox)
    assert await sandbox.read_file(own) == b"the task's own"
    assert await sandbox.exec("ls /tmp", timeout_s=20) is not None

    assert await inject_skills(sandbox, {}) == ()
    assert await sandbox.read_file(own) == b"the task's own"
    await inject_skills(sandbox, {}, strip_existing=True)
    left = await sandbox.exec(f"find {' '.join(PLACES)} -name SKILL.md | wc -l", timeout_s=20)
    assert left.output.strip().endswith("0")


@pytest.mark.docker
async def test_skills_are_laid_without_tar(bare_sandbox: Sandbox, tmp_path: Path) -> None:
    folders = {name: skill(tmp_path, name) for name in ("beta", "alpha")}
    await inject_skills(bare_sandbox, folders)
    await check_laid(bare_sandbox)


async def test_a_folder_that_is_no_skill_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"SKILL\.md"):
        await inject_skills(None, {"empty": tmp_path / "empty"})  # type: ignore[arg-type]
