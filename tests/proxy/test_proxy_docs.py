"""docs/agents.md: its file is an agent's, and its solver solves."""

import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.model_service import QUICK, Service, says
from support.sandboxes import Start

from grindstone.agents.agent_file import load_agent
from grindstone.agents.profiles import Profile
from grindstone.agents.protocol import Brief
from grindstone.agents.solvers import solver_for
from grindstone.errors import InputError
from grindstone.llm import open_models
from grindstone.llm.client import JournaledModel
from grindstone.records import StepKind
from grindstone.settings import RunSettings

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "agents.md").read_text("utf-8")


def test_its_file_is_an_agents(tmp_path: Path):
    found = re.search(r"```yaml\n(.+?)```", PAGE, re.DOTALL)
    assert found is not None
    (tmp_path / "mine.yaml").write_text(found[1])
    assert load_agent(str(tmp_path / "mine.yaml")).name == "my-agent"


@pytest.fixture
async def model(service: Service, tmp_path: Path) -> AsyncIterator[JournaledModel]:
    async with open_models(
        run_key="r", journal_dir=tmp_path / "j", environ={}, patience=QUICK
    ) as models:
        yield models.get(f"messages:m@{service.url}")


def programs() -> list[str]:
    """The page's solvers."""
    return re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL)


def installed(folder: Path, name: str, program: str, needs: str = "") -> Path:
    """Install a package that brings a solver, and what it needs, into a folder; return that."""
    made = folder / name
    (made / name).mkdir(parents=True)
    (made / name / "__init__.py").write_text(program)
    (made / "pyproject.toml").write_text(
        f"""
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{name}"
version = "1.0"
dependencies = [{f'"{needs}"' if needs else ""}]

[project.entry-points."grindstone.solvers"]
{name} = "{name}:make"
"""
    )
    site = folder / f"site-{name}"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation"]
    got = subprocess.run(
        [*pip, "--target", str(site), str(made)], capture_output=True, text=True, check=False
    )
    if got.returncode and needs:
        pytest.skip(f"{needs} cannot be installed here: {got.stderr[-300:]}")
    assert got.returncode == 0, got.stderr
    return site


BRIEF = Brief(episode_id="e", task_id="t", instruction="Write 3.", system_prompt="")


@pytest.mark.bubblewrap
@pytest.mark.parametrize("provider", ["bubblewrap"], indirect=True)
class TestItsSolvers:
    async def test_one_solves_that_a_package_brings_under_a_name(
        self,
        start: Start,
        service: Service,
        model: JournaledModel,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ):
        program = f"{programs()[0]}\nmake = OneCommand\n"
        monkeypatch.syspath_prepend(installed(tmp_path, "toy_solver", program))
        settings = RunSettings(solver="toy_solver", work_dir=tmp_path)
        assert settings.native_profile is Profile.CODE
        solver = solver_for(Profile.CODE, plugin="toy_solver")
        assert type(solver).__module__ == "toy_solver"
        with pytest.raises(InputError, match="toy_solver"):  # told which there are
            solver_for(Profile.CODE, plugin="another")
        service.content = [{"type": "text", "text": "echo 3 > /tmp/n; cat /tmp/n"}]
        sandbox = await start()
        done = await solver.solve(BRIEF, sandbox, model)
        await sandbox.close()
        assert done.steps[-1].outputs[0].content == "3\n"

    @pytest.mark.registry
    @pytest.mark.slow
    @pytest.mark.filterwarnings("ignore")  # of others' code
    async def test_a_graph_of_another_framework_solves(
        self,
        start: Start,
        service: Service,
        model: JournaledModel,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ):
        program = f"{programs()[1]}\nmake = GraphSolver\n"
        monkeypatch.syspath_prepend(
            installed(tmp_path, "graph_solver", program, needs="langgraph~=1.2")
        )
        monkeypatch.setenv("LANGSMITH_TRACING", "false")
        service.reply = says("echo 3 > /tmp/n; cat /tmp/n", "cat /nowhere")
        sandbox = await start()
        solver = solver_for(Profile.CODE, plugin="graph_solver")
        done = await solver.solve(BRIEF, sandbox, model)
        await sandbox.close()
        agent = [step for step in done.steps if step.kind is StepKind.AGENT]
        assert [[out.exit_code for out in step.outputs] for step in agent] == [[0], [1], []]
        assert agent[0].outputs[0].content == "3\n"
        assert done.submission == "Done."
        assert len(service.bodies) == 3
