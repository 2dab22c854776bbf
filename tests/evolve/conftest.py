"""A scripted evolver at the wire, a real sandbox, a real workspace."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response, StreamingResponse
from support.model_service import QUICK, Service, events_of, serving

from grindstone.llm import open_models
from grindstone.llm.messages import Model
from grindstone.observe.observation import LabelledObservation, observe_labelled
from grindstone.records import (
    FailureClass,
    Step,
    StepKind,
    StopReason,
    TestResult,
    ToolCall,
    ToolOutput,
    Trajectory,
    Verdict,
    utc_now,
)
from grindstone.resources import bundled
from grindstone.sandbox import Provider, open_provider, probe
from grindstone.settings import FeedbackLevel
from grindstone.workspace.workspace import Workspace

SKILL = """---
name: {name}
description: When a table must be read, how to find its delimiter.
metadata:
  category: data
---

## Steps
1. Look at the first line. {more}

## Verification
- The count of columns is the same in every row.
"""


class Evolver:
    """Answers the evolver's requests from a script of commands; words end a turn."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.script: list[str | dict[str, Any]] = []
        service.reply = self._reply

    def plays(self, *script: str | dict[str, Any]) -> None:
        """Commands begin with `$ `; a dictionary is a block as it is; else closing words."""
        self.script = list(script)

    @property
    def requests(self) -> list[dict[str, Any]]:
        return self.service.bodies

    @property
    def wire(self) -> str:
        """All that ever reached the evolver's model."""
        return json.dumps(self.service.bodies, ensure_ascii=False)

    def told(self, nth: int = -1) -> str:
        """The last message of a request."""
        return json.dumps(self.requests[nth]["messages"][-1], ensure_ascii=False)

    def _reply(self, body: dict[str, Any]) -> Response:
        part = self.script.pop(0) if self.script else "I am done."
        stop = "end_turn"
        block: dict[str, Any] = {"type": "text", "text": part}
        if isinstance(part, str) and part.startswith("$ "):
            block = use(part[2:], number=len(self.requests))
        elif isinstance(part, dict):
            block = part
        if block["type"] == "tool_use":
            stop = "tool_use"
        events = events_of([block], stop, 10)
        lines = (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        return StreamingResponse(lines, media_type="text/event-stream")


def use(command: str, *, number: int = 0, name: str = "workspace_bash") -> dict[str, Any]:
    return {
        "type": "tool_use",
        "id": f"toolu_{number}",
        "name": name,
        "input": {"command": command},
    }


def write(path: str, text: str) -> str:
    """The command that writes a file."""
    folder = path.rpartition("/")[0] or "."
    return f"$ mkdir -p {folder} && cat > {path} <<'END_OF_FILE'\n{text}END_OF_FILE"


def skill(name: str, more: str = "") -> str:
    return SKILL.format(name=name, more=more)


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


@pytest.fixture(
    params=[
        pytest.param("docker", marks=pytest.mark.docker),
        pytest.param("bubblewrap", marks=pytest.mark.bubblewrap),
    ]
)
async def provider(request: pytest.FixtureRequest) -> AsyncIterator[Provider]:
    found = probe()
    tool = found.docker if request.param == "docker" else found.bubblewrap
    if not tool.works:
        pytest.skip(f"{request.param}: {tool.reason}")
    opened = await open_provider(request.param)
    yield opened
    await opened.close()


@pytest.fixture
async def any_provider() -> AsyncIterator[Provider]:
    """Whichever there is: for what does not depend on it."""
    found = probe()
    if not (found.docker.works or found.bubblewrap.works):
        pytest.skip(f"docker: {found.docker.reason}; bubblewrap: {found.bubblewrap.reason}")
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


def attempt() -> Trajectory:
    step = Step(
        index=0,
        kind=StepKind.AGENT,
        calls=(ToolCall(call_id="1", name="bash", arguments={"command": "cut -d, -f1 in.csv"}),),
        outputs=(ToolOutput(call_id="1", content="no such column", exit_code=1),),
        at=utc_now(),
    )
    return Trajectory(steps=(step,), stop_reason=StopReason.SUBMITTED, submission="done")


def failing(*tests: TestResult, output: str = "") -> Verdict:
    return Verdict(reward=0.0, passed=False, tests=tests, output=output)
