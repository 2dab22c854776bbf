"""A trajectory as a person reads it: what was said, what was run, what came back."""

import re

from grindstone.records import Step, StepKind, ToolCall, ToolOutput, Trajectory
from grindstone.text import shorten

OUTPUT_CHARS = 3_000
"""Most characters of one command's output that are shown; the ledger has all of it."""


def trajectory_markdown(trajectory: Trajectory) -> str:
    """Return the steps as markdown, in order, with what was cut said where it was cut."""
    parts = [_step(step) for step in trajectory.steps]
    ending = f"**Ended:** {trajectory.stop_reason.value.replace('_', ' ')}"
    if trajectory.submission:
        ending += f"\n\n{_fenced(trajectory.submission, 'text')}"
    return "\n\n".join([*parts, ending])


def _step(step: Step) -> str:
    title = {
        StepKind.SYSTEM: "System prompt",
        StepKind.USER: "Task",
        StepKind.AGENT: "Agent",
        StepKind.SUMMARY: "Summary of earlier steps",
    }[step.kind]
    parts = [f"#### {step.index}. {title}"]
    if step.reasoning:
        parts.append(_quoted(step.reasoning))
    if step.message:
        parts.append(_quoted(step.message) if step.kind is StepKind.AGENT else step.message.strip())
    outputs = {output.call_id: output for output in step.outputs}
    for call in step.calls:
        parts.append(_call(call, outputs.get(call.call_id)))
    return "\n\n".join(parts)


def _call(call: ToolCall, output: ToolOutput | None) -> str:
    command = call.arguments.get("command") or call.arguments.get("keystrokes")
    if isinstance(command, str):
        asked = _fenced(command.rstrip("\n"), "bash")
    else:
        shown = ", ".join(f"{name}={value!r}" for name, value in call.arguments.items())
        asked = f"`{call.name}({shown[:500]})`"
    if output is None:
        return f"{asked}\n\n*not run*"
    return (
        f"{asked}\n\n{_ending(output)}\n\n{_fenced(shorten(output.content, OUTPUT_CHARS), 'text')}"
    )


def _ending(output: ToolOutput) -> str:
    if output.timed_out:
        return f"⏱ ended at its time limit after {output.duration_s:.1f} s"
    if output.exit_code is not None:
        mark = "✓" if output.exit_code == 0 else "✗"
        return f"{mark} exit code {output.exit_code}, {output.duration_s:.1f} s"
    return "✗ refused" if output.is_error else "✓"


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.strip().splitlines())


def _fenced(text: str, language: str) -> str:
    """Fence text with one backtick more than it holds in a row."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
