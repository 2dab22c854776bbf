"""Talking to a terminal: what is typed, and what its screen tells of the commands before."""

import json
import re
from itertools import pairwise
from typing import NamedTuple

from grindstone.rehearsal.memory import Past
from grindstone.rehearsal.play import Seen
from grindstone.rehearsal.wire import Turn, known_by

_ASK_EXIT = 'echo "[exit code $?]"'
_EXIT = re.compile(r"^\[exit code (\d+)\]\s*$", re.MULTILINE)
_ENDED = "[ended at its time limit"
_COLUMNS = 160
_MOST_WAITS = 8
_OPENING = re.compile(r"^Task:\s*\n(.*?)\n\s*^Terminal:\s*$(.*)", re.DOTALL | re.MULTILINE)


class TypedCommand(NamedTuple):
    """One entry of an answer's commands."""

    keystrokes: str
    duration: float  # seconds to wait


class Opening(NamedTuple):
    """The first message, taken apart."""

    instruction: str
    real: bool  # a screen: lines wrap, and exit codes must be asked for


def read_opening(text: str) -> Opening:
    """Return the task's text and what kind of terminal there is."""
    found = _OPENING.search(text)
    instruction, shown = (found[1], found[2]) if found else (text, "")
    return Opening(instruction.strip(), "no tmux" not in shown and "plain shell" not in shown)


def typed(command: str, *, real: bool) -> TypedCommand:
    """Return what to type for a command."""
    if not real:
        return TypedCommand(f"{command}\n", 1.0)
    return TypedCommand(f"{command}\n{_ASK_EXIT}\n", 0.5 if "\n" in command else 0.25)


def wait() -> TypedCommand:
    """Return what to type while a command runs on."""
    return TypedCommand("", 2.0)


def past(turns: tuple[Turn, ...], *, real: bool) -> tuple[list[Past], bool]:
    """Return the commands the conversation holds, and whether the last one still runs."""
    found: list[Past] = []
    waits = 0
    ended = True
    for spoken, given in pairwise(turns):
        command = command_in(spoken.text) if given.role == "user" else None
        if command is None:
            continue
        if command:
            found.append(_read(command, given.text, real=real))
            waits = 0
        elif found:
            shown = _read(command, given.text, real=real).seen
            before = found[-1]
            found[-1] = Past(before.key, Seen(before.seen.text + "\n" + shown.text, shown.failed))
            waits += 1
        ended = not real or _EXIT.search(given.text) is not None or waits >= _MOST_WAITS
    return found, not ended


def command_in(text: str) -> str | None:
    """Return the command an answer typed, empty for a wait, None where it typed nothing."""
    try:
        entries = json.loads(text)["commands"]
        if not entries:
            return None
        return str(entries[0]["keystrokes"]).strip().removesuffix(_ASK_EXIT).rstrip("\n")
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _read(command: str, shown: str, *, real: bool) -> Past:
    codes = _EXIT.findall(shown)
    failed = codes[-1] != "0" if codes else _ENDED in shown
    text = _unwrapped(shown) if real else shown
    return Past(known_by("bash", {"command": command}), Seen(text, failed))


def _unwrapped(shown: str) -> str:
    """Join what the screen broke at its right edge."""
    text = ""
    for line in shown.splitlines():
        text += line if len(line) == _COLUMNS else f"{line}\n"
    return text
