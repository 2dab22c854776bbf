"""A solver profile is one module and one row: nothing else names it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from grindstone.agents import profiles
from grindstone.agents.plugins import solved_by
from grindstone.agents.solvers import solver_for
from grindstone.errors import Cause, InfrastructureError, InputError
from grindstone.records import Arm, Purpose
from grindstone.settings import Profile

TOY = """
from grindstone.agents.recorder import Recorder
from grindstone.records import StepKind, StopReason

class Toy:
    def __init__(self, *, on_step=None):
        self._on_step = on_step

    async def solve(self, brief, sandbox, model):
        record = Recorder(self._on_step)
        record.add(StepKind.USER, brief.instruction)
        return record.finish(StopReason.SUBMITTED, "toyed")
"""

ROW = """    TOY = ProfileRow(
        "toy", "toy_solver:Toy", "protocol_strands", "squint at it.", "toy-1", aided=False
    )
"""

AFTER = """
import asyncio, json
from typer.testing import CliRunner
from grindstone.agents import Brief, SkillCard, build_system_prompt, solver_for
from grindstone.agents.harbor import harbor_agent
from grindstone.competency.measured import measure
from grindstone.flows.cli.app import app
from grindstone.graduation.rules.policy import UNAIDED
from grindstone.settings import GrindSettings, Profile

toy = GrindSettings(native_profile="toy").native_profile
brief = Brief(episode_id="e", task_id="t", instruction="Do it.", system_prompt="")
card = SkillCard(name="s", description="d", path="/skills/s")
print(json.dumps({
    "ended": asyncio.run(solver_for(toy).solve(brief, None, None)).submission,
    "form": GrindSettings.model_json_schema()["$defs"]["Profile"]["enum"],
    "dumped": GrindSettings(native_profile=toy).model_dump(mode="json")["native_profile"],
    "prompt": build_system_prompt("Base.", (), (card,), toy),
    "harbor": harbor_agent(toy),
    "stands_in": toy in UNAIDED,
    "help": CliRunner().invoke(app, ["grind", "--help"], env={"COLUMNS": "400"}).output,
}))
"""


@pytest.mark.commands
def test_a_row_is_all_that_a_new_profile_needs(tmp_path: Path) -> None:
    (tmp_path / "toy_solver.py").write_text(TOY)
    text = Path(profiles.__file__).read_text().rstrip() + "\n" + ROW
    begin = (
        "import sys, types\n"
        "module = types.ModuleType('grindstone.agents.profiles')\n"
        "sys.modules[module.__name__] = module\n"
        f"exec({text!r}, module.__dict__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", begin + AFTER],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["ended"] == "toyed"
    assert told["form"] == [*Profile, "toy"]
    assert told["dumped"] == "toy"
    assert "squint at it." in told["prompt"]
    assert told["harbor"] == "toy-1"
    assert told["stands_in"]
    assert "toy" in told["help"]


@pytest.mark.parametrize(
    "profile", [each for each in Profile if each not in (Profile.COMMAND, Profile.CODE)]
)
def test_every_row_names_a_solver_that_is_there(profile: Profile) -> None:
    assert hasattr(solver_for(profile), "solve")
    assert profile == profile.value == str(profile)
    assert Profile(profile.value) is profile


def test_what_an_attempt_counts_for_is_told_by_its_purpose_and_arm() -> None:
    def those(what: str) -> set[Purpose]:
        return {purpose for purpose in Purpose if getattr(purpose, what)}

    run = {Purpose.GRIND, Purpose.ADAPT, Purpose.TRAIN, Purpose.IMPORT}
    assert those("in_run") == run
    assert those("in_record") == run | {Purpose.ROUTE}
    assert those("live") == {Purpose.ROUTE, Purpose.IMPORT}
    assert those("shows_competency") == run | {Purpose.ROUTE, Purpose.EXAM}
    assert {arm for arm in Arm if not arm.up_to_date} == {Arm.BASELINE, Arm.WITHOUT}


@pytest.mark.parametrize("profile", [Profile.COMMAND, Profile.CODE])
def test_a_row_that_stands_for_somebody_elses_agent_asks_for_it(profile: Profile) -> None:
    with pytest.raises(InputError, match=r"--agent|module:factory"):
        solver_for(profile)


OF_OTHERS = """
from grindstone.errors import InputError


class Solver:
    def __init__(self, on_step=None):
        pass

    async def solve(self, brief, sandbox, model):
        {body}
"""


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (
            "raise ValueError('cannot parse the skill')",
            "Solver: ValueError: cannot parse the skill",
        ),
        ("return None", "Solver.solve returned NoneType, expected a Trajectory"),
        ("return {'steps': []}", "Solver.solve returned dict, expected a Trajectory"),
    ],
)
async def test_what_a_solver_of_others_does_wrong_is_its_own_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, told: str
) -> None:
    name = f"of_others_{abs(hash(body))}"
    (tmp_path / f"{name}.py").write_text(OF_OTHERS.format(body=body))
    monkeypatch.syspath_prepend(tmp_path)
    solver = solver_for(Profile.CODE, plugin=f"{name}:Solver")
    with pytest.raises(InfrastructureError) as caught:
        await solved_by(solver, None, None, None)  # type: ignore[arg-type]
    assert caught.value.cause is Cause.AGENT_BROKEN
    assert told in caught.value.detail
    if "raise" in body:
        assert f"{name}.py:10)" in caught.value.detail


async def test_grindstones_errors_pass_through_a_solver_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "of_others_input.py").write_text(
        OF_OTHERS.format(body="raise InputError('task', 'is none', 'a task')")
    )
    monkeypatch.syspath_prepend(tmp_path)
    solver = solver_for(Profile.CODE, plugin="of_others_input:Solver")
    with pytest.raises(InputError):
        await solved_by(solver, None, None, None)  # type: ignore[arg-type]
