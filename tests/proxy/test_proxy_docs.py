"""docs/agents.md: its file is an agent's, and its solver solves."""

import re
import types
from pathlib import Path

import pytest
from support.model_service import QUICK, Service
from support.sandboxes import Start

from grindstone.agents.agent_file import load_agent
from grindstone.agents.protocol import Brief
from grindstone.llm import open_models

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "agents.md").read_text("utf-8")


def test_its_file_is_an_agents(tmp_path: Path):
    found = re.search(r"```yaml\n(.+?)```", PAGE, re.DOTALL)
    assert found is not None
    (tmp_path / "mine.yaml").write_text(found[1])
    assert load_agent(str(tmp_path / "mine.yaml")).name == "my-agent"


@pytest.mark.bubblewrap
@pytest.mark.parametrize("provider", ["bubblewrap"], indirect=True)
async def test_its_solver_solves(start: Start, service: Service, tmp_path: Path):
    found = re.search(r"```python\n(.+?)```", PAGE, re.DOTALL)
    assert found is not None
    module = types.ModuleType("solver_of_the_docs")
    exec(compile(found[1], "docs/agents.md", "exec"), module.__dict__)
    service.content = [{"type": "text", "text": "echo 3 > /tmp/n; cat /tmp/n"}]
    sandbox = await start()
    brief = Brief(episode_id="e", task_id="t", instruction="Write 3.", system_prompt="")
    async with open_models(
        run_key="r", journal_dir=tmp_path / "j", environ={}, patience=QUICK
    ) as models:
        model = models.get(f"messages:m@{service.url}")
        done = await module.OneCommand().solve(brief, sandbox, model)
    await sandbox.close()
    assert done.steps[-1].outputs[0].content == "3\n"
