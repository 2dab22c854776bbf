"""A trajectory as a person reads it: what was said, what was run, what came back."""

import re

from grindstone.records import Step, StepKind, ToolCall, ToolOutput, Trajectory, Verdict
from grindstone.text import code_span, inert, one_line, shorten

OUTPUT_CHARS = 3_000
"""Most characters of one command's output that are shown; the ledger has all of it."""


def trajectory_markdown(trajectory: Trajectory) -> str:
    """Return the steps as markdown, with what was cut said where it was cut.

    They are in order but for the system prompt, which is long, the same for all, and last.
    """
    parts: list[str] = []
    prompts: list[str] = []
    previous = None
    for step in trajectory.steps:
        told = prompts if step.kind is StepKind.SYSTEM else parts
        told.append(_step(step, previous))
        previous = step
    ending = f"**Ended:** {trajectory.stop_reason.value.replace('_', ' ')}"
    if trajectory.submission:
        ending += f"\n\n{_fenced(trajectory.submission, 'text')}"
    return "\n\n".join([*_first_error(trajectory), *parts, ending, *prompts])


def verdict_markdown(verdict: Verdict, *, words: bool = False) -> str:
    """Return why an attempt passed or failed: the tests that did not pass.

    Args:
        verdict: The attempt's.
        words: Show what tests and verifier said too. It may quote the tests' source, so it is
            for whoever reads the home itself, and for no agent, judge, evolver or server.
    """
    parts = [f"**Verdict:** reward {verdict.reward:.2f}"]
    if verdict.tests:
        parts[0] += f", {verdict.tests_passed} of {len(verdict.tests)} tests passed"
    parts += [f"**In doubt:** {one_line(inert(doubt))}" for doubt in verdict.evidence]
    for test in verdict.tests:
        if test.status != "passed":
            parts.append(f"✗ {code_span(test.name)} {test.status}")
            parts += [_words(test.message)] * (words and bool(test.message))
    said = verdict.output.strip()
    if words and said and not verdict.passed and not any(test.message for test in verdict.tests):
        parts.append(f"The verifier said:\n\n{_words(said)}")
    return "\n\n".join(parts)


def _words(text: str) -> str:
    return _fenced(shorten(text, OUTPUT_CHARS), "text")


def _first_error(trajectory: Trajectory) -> list[str]:
    met = [step.index for step in trajectory.steps if step.met_error]
    if not met:
        return []
    more = f", {len(met)} steps in all" if len(met) > 1 else ""
    return [f"**First error:** step {met[0]}{more}"]


def _step(step: Step, previous: Step | None) -> str:
    title = {
        StepKind.SYSTEM: "System prompt",
        StepKind.USER: "Task",
        StepKind.AGENT: "Agent",
        StepKind.SUMMARY: "Summary of earlier steps",
    }[step.kind]
    parts = [f"#### {step.index}. {title}{_took(step, previous)}"]
    if step.reasoning:
        parts.append(_quoted(step.reasoning))
    if step.message:
        parts.append(
            _quoted(step.message) if step.kind is StepKind.AGENT else inert(step.message.strip())
        )
    outputs = {output.call_id: output for output in step.outputs}
    for call in step.calls:
        parts.append(_call(call, outputs.get(call.call_id)))
    return "\n\n".join(parts)


def seconds_of(step: Step, previous: Step | None) -> float | None:
    """Return how long an agent's turn took, since the step before it; None for other steps."""
    if step.kind is not StepKind.AGENT or previous is None:
        return None
    return max(0.0, (step.at - previous.at).total_seconds())


def _took(step: Step, previous: Step | None) -> str:
    told = []
    if (seconds := seconds_of(step, previous)) is not None:
        told.append(f"{seconds:.1f} s")
    if step.usage is not None:
        read = step.usage.total_tokens - step.usage.output_tokens
        told.append(f"{read:,} → {step.usage.output_tokens:,} tokens")
    return "".join(f" · {each}" for each in told)


def _call(call: ToolCall, output: ToolOutput | None) -> str:
    command = call.arguments.get("command") or call.arguments.get("keystrokes")
    if isinstance(command, str):
        asked = _fenced(command.rstrip("\n"), "bash")
    else:
        shown = ", ".join(f"{name}={value!r}" for name, value in call.arguments.items())
        asked = code_span(f"{call.name}({shown[:500]})")
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
    return "\n".join(f"> {line}" for line in inert(text).strip().splitlines())


def _fenced(text: str, language: str) -> str:
    """Fence text with one backtick more than it holds in a row."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
