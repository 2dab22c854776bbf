"""The words of a conversation as the conventions' messages: JSON, of parts."""

import json
from collections.abc import Sequence

from pydantic import JsonValue

from grindstone.records import Step, StepKind, ToolOutput

_ROLES = {StepKind.SYSTEM: "system", StepKind.SUMMARY: "system", StepKind.USER: "user"}


def said_as_json(value: JsonValue | object) -> str:
    """Return anything plain as compact JSON."""
    return json.dumps(value, ensure_ascii=False)


def input_messages(steps: Sequence[Step]) -> str:
    """Return what a model was told by some steps; of an answer of its own, what its tools gave."""
    told: list[JsonValue] = []
    for step in steps:
        if step.kind is not StepKind.AGENT:
            told.append(_message(_ROLES[step.kind], [_text(step.message)]))
        elif step.outputs:
            parts: list[JsonValue] = [
                {
                    "type": "tool_call_response",
                    "id": output.call_id,
                    "response": result_of(output),
                }
                for output in step.outputs
            ]
            told.append(_message("tool", parts))
    return said_as_json(told)


def output_messages(step: Step, stop_reason: str) -> str:
    """Return a model's answer."""
    parts: list[JsonValue] = [_text(step.message)] if step.message else []
    if step.reasoning:
        parts.insert(0, {"type": "reasoning", "content": step.reasoning})
    parts += [
        {"type": "tool_call", "id": call.call_id, "name": call.name, "arguments": call.arguments}
        for call in step.calls
    ]
    return said_as_json([_message("assistant", parts) | {"finish_reason": stop_reason}])


def result_of(output: ToolOutput) -> str:
    """Return what a tool gave."""
    return output.content


def _message(role: str, parts: list[JsonValue]) -> dict[str, JsonValue]:
    return {"role": role, "parts": parts}


def _text(text: str) -> JsonValue:
    return {"type": "text", "content": text}
