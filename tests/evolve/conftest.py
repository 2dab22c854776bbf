"""A scripted evolver at the wire, a real sandbox, a real workspace."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from evolve_script import Evolver, attempt
from support.model_service import QUICK, serving
from support.sandboxes import provider

from grindstone.llm import open_models
from grindstone.llm.messages import Model
from grindstone.observe.observation import LabelledObservation, observe_labelled
from grindstone.records import FailureClass, Verdict
from grindstone.resources import bundled
from grindstone.sandbox import SandboxProvider, open_provider, probe
from grindstone.settings import FeedbackLevel
from grindstone.workspace.workspace import Workspace

__all__ = ["provider"]


@pytest.fixture
async def evolver() -> AsyncIterator[Evolver]:
    async with serving() as service:
        yield Evolver(service)


@pytest.fixture
async def model(evolver: Evolver, tmp_path: Path) -> AsyncIterator[Model]:
    environ = {"ANTHROPIC_API_KEY": "sk-canary-key", "ANTHROPIC_BASE_URL": evolver.service.url}
    async with open_models(
        run_key="run", journal_dir=tmp_path / "journal", environ=environ, patience=QUICK
    ) as models:
        yield models.get("claude-evolver-1")


@pytest.fixture
async def any_provider() -> AsyncIterator[SandboxProvider]:
    """Whichever there is: for what does not depend on it."""
    found = probe()
    if not found.can_run_tasks:
        pytest.skip("; ".join(f"{tool.name}: {tool.reason}" for tool in found.tools))
    opened = await open_provider("auto")
    yield opened
    await opened.close()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "agent" / "workspace", bundled("seed_workspaces/skillbench"))


Observe = Callable[..., LabelledObservation]


@pytest.fixture
def observe() -> Observe:
    def make(
        verdict: Verdict | None = None,
        level: FeedbackLevel = FeedbackLevel.TESTS,
        task_id: str = "ledger-import-7",
        **changes: Any,
    ) -> LabelledObservation:
        return observe_labelled(
            attempt(),
            verdict or Verdict(reward=0.0, passed=False),
            level=level,
            failure_class=FailureClass.TEST_FAIL,
            task_id=task_id,
            category="data",
            instruction="Import the ledger and write /srv/ledger/total.json.",
            **changes,
        )

    return make
