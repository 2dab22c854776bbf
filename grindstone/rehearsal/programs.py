"""What programs of others put around our words: read away, so that the simple agent sees its task.

They have a prompt of their own, tell of the machine between the lines, and wrap what a command
gave. Where our prompt and the task are in it is marked: the prompt begins with its `Role:` line,
and the task, where both came in one text, stands between `<task>` and `</task>`.
"""

import contextlib
import json
import re
from typing import NamedTuple

SHELLS = ("bash", "Bash", "exec_command", "shell_command", "run_shell_command")
"""What programs call the tool that runs a command line."""

SUBMIT = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
"""How mini-swe-agent's model says that it is done, where its prompt asks for it."""

_ASIDES = ("<system-reminder>", "<environment_context>", "# AGENTS.md instructions")
_OURS = re.compile(r"^Role: (?:[a-z_]+)$", re.MULTILINE)
_TASK = re.compile(r"^<task>\n(.*?)\n</task>$", re.MULTILINE | re.DOTALL)
_PROMPT_END = re.compile(r"^(?:<task>|</INSTRUCTIONS>)$", re.MULTILINE)
_WRAPPED = re.compile(
    r"\A(?:[^\n]*\n){0,3}Process exited with code (?P<code>\d+)\n.*?Output:\n(?P<output>.*)",
    re.DOTALL,
)


class OurWords(NamedTuple):
    """A conversation's beginning without what a program added."""

    system: str
    texts: tuple[str, ...]  # the first turn's


def our_words(system: str, texts: tuple[str, ...]) -> OurWords:
    """Return our prompt and the task, wherever a program put them.

    Args:
        system: The prompt, as it came.
        texts: Of the first turn.
    """
    asides = tuple(text for text in texts if text.lstrip().startswith(_ASIDES))
    rest = tuple(text for text in texts if text not in asides)
    if system.lstrip().startswith("Role:") or not any(map(_OURS.search, (system, *texts))):
        return OurWords(system, rest or texts)
    said = next(text for text in (system, *asides, *rest) if _OURS.search(text))
    found = _OURS.search(said)
    assert found is not None
    ours = said[found.start() :]
    end = _PROMPT_END.search(ours)
    tasks = [match[1] for match in map(_TASK.search, rest) if match]
    return OurWords(ours[: end.start()] if end else ours, (*tasks,) or rest)


def unwrapped(text: str) -> str:
    """Return what a command gave, its exit code in the last line where a program wrapped both."""
    if found := _WRAPPED.match(text):
        return f"{found['output']}\nexit code: {found['code']}"
    if text.startswith("{"):
        with contextlib.suppress(ValueError):
            told = json.loads(text)
            if isinstance(told, dict) and {"returncode", "output"} <= told.keys():
                return f"{told['output']}\nexit code: {told['returncode']}"
    return text
