"""What an agent's behaviour shows without anyone saying whether it succeeded."""

from collections import Counter

from pydantic import NonNegativeInt

from grindstone.base import Frozen
from grindstone.observe.calls import calls_of, error_excerpt
from grindstone.records import StepKind, StopReason, Trajectory

LOOP = 3
"""A command run this often, white space aside, is a loop (adaptive-skill: "cmd x3+")."""

SNIPPETS = 5
SNIPPET_CHARS = 400

LOOPS = "- loops: "
"""How the line on repeated commands begins."""


class Loop(Frozen):
    """A command that was run again and again."""

    command: str
    count: NonNegativeInt


class Signals(Frozen):
    """Counts and excerpts of one trajectory."""

    n_turns: NonNegativeInt
    n_tool_calls: NonNegativeInt
    n_errors: NonNegativeInt
    n_timeouts: NonNegativeInt
    tools_used: dict[str, NonNegativeInt]
    repeated_commands: tuple[Loop, ...]
    submitted: bool
    submission: str
    error_snippets: tuple[str, ...]

    def to_markdown(self) -> str:
        """Return the signals as a short list."""
        tools = ", ".join(f"{name}: {n}" for name, n in self.tools_used.items()) or "none"
        loops = ", ".join(f"`{loop.command}` x{loop.count}" for loop in self.repeated_commands)
        lines = [
            f"- turns: {self.n_turns}; tool calls: {self.n_tool_calls} ({tools})",
            f"- errors: {self.n_errors}; timeouts: {self.n_timeouts}",
            f"{LOOPS}{loops or 'none'}",
            f"- submitted: {'yes' if self.submitted else 'no'}",
        ]
        return "\n".join(lines)


def extract_signals(trajectory: Trajectory) -> Signals:
    """Return a trajectory's signals.

    An error is a call with a non-zero exit status, one its tool refused, one ended at its
    time limit, or, where there is no exit status (a terminal's screen), a command whose
    output holds a line that looks like an error. A timeout is only what the sandbox ended:
    the word in some output is none.
    """
    calls = calls_of(trajectory)
    failed = [call for call in calls if call.failed]
    counts = Counter(call.command for call in calls if call.command)
    loops = sorted(
        ((command, n) for command, n in counts.items() if n >= LOOP), key=lambda x: (-x[1], x[0])
    )
    snippets = [
        f"$ {call.command[:200]}\n{error_excerpt(call.output.content, SNIPPET_CHARS)}"
        for call in failed[:SNIPPETS]
        if call.output is not None
    ]
    return Signals(
        n_turns=sum(step.kind is StepKind.AGENT for step in trajectory.steps),
        n_tool_calls=len(calls),
        n_errors=len(failed),
        n_timeouts=sum(call.output is not None and call.output.timed_out for call in calls),
        tools_used=dict(sorted(Counter(call.tool for call in calls).items())),
        repeated_commands=tuple(Loop(command=command, count=n) for command, n in loops),
        submitted=trajectory.stop_reason is StopReason.SUBMITTED,
        submission=trajectory.submission,
        error_snippets=tuple(snippets),
    )
