"""A trajectory as a list of tool calls with what came of each, whatever the profile."""

import re
from typing import NamedTuple

from grindstone.digest import canonical_json
from grindstone.records import ToolCall, ToolOutput, Trajectory

COMMAND_ARGUMENTS = {"bash": "command", "keystrokes": "keystrokes", "workspace_bash": "command"}
"""Tools that run a command line, and the argument that holds it."""

ERROR_PATTERN = (
    r"(?m)^Traceback \(most recent call last\)"
    r"|^(?:\w+\.)*[A-Z]\w*(?:Error|Exception)\b"
    r"|: (?:command not found|No such file or directory|Permission denied|not found)\s*$"
    r"|^(?:fatal|FATAL|ERROR|Error|error): "
    r"|^make(?:\[\d+\])?: \*\*\* "
    r"|Segmentation fault"
)
"""What an error looks like where no exit status is known; kept to syntax that both Python's
and Rust's regular expressions read alike."""

_ERROR = re.compile(ERROR_PATTERN)


class Call(NamedTuple):
    """One tool call and its output."""

    step: int
    tool: str
    command: str  # white space normalised; for other tools the name and its arguments
    is_command: bool
    output: ToolOutput | None

    @property
    def failed(self) -> bool:
        """Whether it went wrong: by exit status or flag first, by its text only without one."""
        output = self.output
        if output is None:
            return False
        if output.is_error or output.timed_out:
            return True
        if output.exit_code is not None:
            return output.exit_code != 0
        return self.is_command and _ERROR.search(output.content) is not None


def command_of(call: ToolCall) -> tuple[str, bool]:
    """Return a call's command with white space normalised, and whether it is a command line."""
    argument = COMMAND_ARGUMENTS.get(call.name)
    if argument is not None:
        return " ".join(str(call.arguments.get(argument, "")).split()), True
    return f"{call.name} {canonical_json(call.arguments)}", False


def calls_of(trajectory: Trajectory) -> list[Call]:
    """Return every tool call in order, joined with its output by call id."""
    found: list[Call] = []
    for step in trajectory.steps:
        outputs = {output.call_id: output for output in step.outputs}
        for call in step.calls:
            command, is_command = command_of(call)
            found.append(
                Call(step.index, call.name, command, is_command, outputs.get(call.call_id))
            )
    return found


def error_excerpt(content: str, width: int) -> str:
    """Return about `width` characters around the first line that looks like an error.

    Without such a line the end is kept: commands say why they failed last.
    """
    text = content.strip()
    if len(text) <= width:
        return text
    match = _ERROR.search(text)
    return excerpt_at(text, width, None if match is None else match.start())


def excerpt_at(text: str, width: int, at: int | None) -> str:
    """Return about `width` characters around a place, or at the end where there is none."""
    if len(text) <= width:
        return text
    if at is None:
        return "…" + text[-(width - 1) :]
    start = max(0, min(at - width // 4, len(text) - width + 2))
    end = start + width - 2
    return ("…" if start else "") + text[start:end] + ("…" if end < len(text) else "")
