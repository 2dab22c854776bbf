"""Reading trajectories in the Agent Trajectory Interchange Format (ATIF)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from grindstone.records import (
    Step,
    StepKind,
    StopReason,
    ToolCall,
    ToolOutput,
    Trajectory,
    Usage,
    utc_now,
)

_KINDS = {"system": StepKind.SYSTEM, "user": StepKind.USER, "agent": StepKind.AGENT}
_NAMES = {"bash_command": "keystrokes"}
"""Harbor's names of tools that have another name here."""


def stop_reason_of(exception_type: str) -> StopReason:
    """Return why a trial's agent ended, by the exception Harbor noted; empty for none."""
    if "Timeout" in exception_type and "Verifier" not in exception_type:
        return StopReason.TIME_LIMIT
    if "ContextLength" in exception_type or "OutputLength" in exception_type:
        return StopReason.TOKEN_LIMIT
    return StopReason.SUBMITTED


def read_atif(document: Mapping[str, Any], stop_reason: StopReason) -> Trajectory:
    """Return a trajectory document's steps; what a field does not hold stays empty."""
    steps = tuple(_step(index, raw) for index, raw in enumerate(document.get("steps") or []))
    said = [step.message for step in steps if step.kind is StepKind.AGENT]
    return Trajectory(steps=steps, stop_reason=stop_reason, submission=said[-1] if said else "")


def _step(index: int, raw: Mapping[str, Any]) -> Step:
    calls = tuple(_call(index, n, call) for n, call in enumerate(raw.get("tool_calls") or []))
    results = (raw.get("observation") or {}).get("results") or []
    outputs = tuple(_output(result, calls) for result in results)
    return Step(
        index=index,
        kind=_KINDS.get(str(raw.get("source")), StepKind.USER),
        message=_text(raw.get("message")),
        reasoning=_text(raw.get("reasoning_content")),
        calls=calls,
        outputs=outputs,
        usage=_usage(raw.get("metrics")),
        at=_time(raw.get("timestamp")),
    )


def _call(step: int, number: int, raw: Mapping[str, Any]) -> ToolCall:
    name = str(raw.get("function_name", ""))
    arguments = raw.get("arguments")
    return ToolCall(
        call_id=str(raw.get("tool_call_id") or f"{step}.{number}"),
        name=_NAMES.get(name, name),
        arguments=arguments if isinstance(arguments, dict) else {},
    )


def _output(raw: Mapping[str, Any], calls: tuple[ToolCall, ...]) -> ToolOutput:
    # A terminal's screen names no call: it shows what the last of them left.
    last = calls[-1].call_id if calls else ""
    return ToolOutput(
        call_id=str(raw.get("source_call_id") or last),
        content=_text(raw.get("content")),
    )


def _text(value: Any) -> str:
    if isinstance(value, list):
        parts = (part.get("text", "") for part in value if isinstance(part, dict))
        return "\n".join(str(part) for part in parts if part)
    return value if isinstance(value, str) else ""


def _usage(metrics: Any) -> Usage | None:
    if not isinstance(metrics, dict):
        return None
    prompt, cached = _count(metrics, "prompt_tokens"), _count(metrics, "cached_tokens")
    return Usage(
        input_tokens=max(0, prompt - cached),
        output_tokens=_count(metrics, "completion_tokens"),
        cache_read_tokens=cached,
    )


def _count(metrics: Mapping[str, Any], name: str) -> int:
    value = metrics.get(name)
    return value if isinstance(value, int) and value >= 0 else 0


def _time(value: Any) -> datetime:
    try:
        at = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return utc_now()
    return at if at.tzinfo else at.replace(tzinfo=UTC)
