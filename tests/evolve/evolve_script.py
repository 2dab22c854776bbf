"""What a scripted evolver says, and attempts for it to learn from."""

import json
from typing import Any

from starlette.responses import Response, StreamingResponse
from support.model_service import Service, events_of

from grindstone.records import (
    Step,
    StepKind,
    StopReason,
    ToolCall,
    ToolOutput,
    Trajectory,
    utc_now,
)

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


def attempt() -> Trajectory:
    step = Step(
        index=0,
        kind=StepKind.AGENT,
        calls=(ToolCall(call_id="1", name="bash", arguments={"command": "cut -d, -f1 in.csv"}),),
        outputs=(ToolOutput(call_id="1", content="no such column", exit_code=1),),
        at=utc_now(),
    )
    return Trajectory(steps=(step,), stop_reason=StopReason.SUBMITTED, submission="done")
