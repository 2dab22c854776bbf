"""What a conversation holds of the actions taken: results, or a summary's word on them."""

import re
from collections import defaultdict, deque
from typing import NamedTuple

from grindstone.rehearsal.play import Seen

_EXIT = re.compile(
    r"^\W*exit(?:ed)?(?:[ _-]?(?:code|status))?(?:\s+with)?\s*[:=]?\s*(\d{1,3})\W*$", re.IGNORECASE
)
_ENDED = re.compile(r"^\W*(?:ended at its time limit|timed out)", re.IGNORECASE)
_TOLD = re.compile(r"^- ran ([0-9a-f]{24}) (ok|failed)\b", re.MULTILINE)


class Past(NamedTuple):
    """An action the conversation holds, by key, and what it gave."""

    key: str
    seen: Seen


def exit_code(text: str) -> int | None:
    """Return the exit code that the first or last line of an output tells, None without one."""
    lines = [line for line in text.strip().splitlines() if line.strip()]
    for line in (*lines[-1:], *lines[:1]):
        if found := _EXIT.match(line):
            return int(found[1])
        if _ENDED.match(line):
            return 124
    return None


def note(key: str, command: str, *, failed: bool) -> str:
    """Return a summary's line on a command."""
    first = command.strip().splitlines()[0] if command.strip() else ""
    return f"- ran {key} {'failed' if failed else 'ok'}: {first[:160]}"


def remembered(text: str) -> dict[str, deque[bool]]:
    """Return whether each command a summary tells of failed, in order, by key."""
    told: dict[str, deque[bool]] = defaultdict(deque)
    for key, outcome in _TOLD.findall(text):
        told[key].append(outcome == "failed")
    return told
