"""A scripted Messages service, and short ways to spell its answers."""

import json
import threading
from collections.abc import Iterator
from typing import Any

from grindstone.agents import Brief, Effort

Blocks = list[dict[str, Any]]


class Service:
    """Answers each request with the next scripted answer, streamed as the API does.

    An answer is a list of content blocks, or a function from the request to one. With
    `stop` set on a pair, that is the stop reason. Requests that ask for a summary are
    answered apart, so that scripts need not know when one is made.
    """

    def __init__(self) -> None:
        self.url = ""
        self.script: list[Any] = []
        self.requests: list[dict[str, Any]] = []
        self.summaries: list[dict[str, Any]] = []
        self.summary = "SUMMARY OF WHAT WENT BEFORE"
        self.input_tokens: int | None = None
        self._lock = threading.Lock()

    def answer(self, request: dict[str, Any]) -> tuple[Blocks, str]:
        system = "".join(part["text"] for part in request.get("system", []))
        with self._lock:
            if system.startswith("Role: summary"):
                self.summaries.append(request)
                return [text(self.summary)], "end_turn"
            self.requests.append(request)
            step = self.script[min(len(self.requests), len(self.script)) - 1]
        stop = None
        if isinstance(step, tuple):
            step, stop = step
        blocks = step(request) if callable(step) else step
        calls = any(block["type"] == "tool_use" for block in blocks)
        return blocks, stop or ("tool_use" if calls else "end_turn")


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def use(name: str, call_id: str = "toolu_1", /, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def terminus(*commands: tuple[str, float], done: bool = False) -> Blocks:
    typed = [{"keystrokes": keys, "duration": wait} for keys, wait in commands]
    body = {"analysis": "I see.", "plan": "I type.", "commands": typed, "task_complete": done}
    return [text(json.dumps(body))]


def events(blocks: Blocks, stop: str, tokens: int) -> Iterator[dict[str, Any]]:
    usage = {"input_tokens": tokens, "output_tokens": 7}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-scripted",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    yield {"type": "message_start", "message": message}
    for index, block in enumerate(blocks):
        if block["type"] == "tool_use":
            start = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        else:
            start = {"type": "text", "text": ""}
            delta = {"type": "text_delta", "text": block["text"]}
        yield {"type": "content_block_start", "index": index, "content_block": start}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ending = {"stop_reason": stop, "stop_sequence": None}
    yield {"type": "message_delta", "delta": ending, "usage": {"output_tokens": 7}}
    yield {"type": "message_stop"}


def brief(**changes: Any) -> Brief:
    """Return a brief with short limits."""
    effort = Effort(**{"time_limit_s": 60, "max_steps": 20, **changes.pop("effort", {})})
    fields = {
        "episode_id": "episode",
        "task_id": "task",
        "instruction": "Do the task.",
        "system_prompt": "Role: solver\n\nWork.",
        **changes,
    }
    return Brief(effort=effort, **fields)


def results(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the tool results of a request's last turn."""
    return [block for block in request["messages"][-1]["content"] if block["type"] == "tool_result"]


def words(result: dict[str, Any]) -> str:
    """Return a tool result's text, however it was spelled."""
    content = result.get("content", "")
    return content if isinstance(content, str) else "".join(part["text"] for part in content)
