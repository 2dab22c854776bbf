"""Believable, deterministic token counts: a function of the request and nothing else.

Stateless, so what a cache would hold is inferred: a breakpoint's prefix up to the last
turn the assistant has answered was sent once before and counts as read; what is new in
front of the last breakpoint counts as written.
"""

import json
import math
import re
from typing import Any, NamedTuple

_PIECE = re.compile(r"\w+|[^\w\s]+|\s+")
_LEAST_CACHED = 1024  # the API caches no shorter prefix
_PER_MESSAGE = 4


class Count(NamedTuple):
    """Prompt tokens by how they are billed."""

    fresh: int
    read: int
    written: int

    @property
    def total(self) -> int:
        """All prompt tokens."""
        return self.fresh + self.read + self.written


def of_text(text: str) -> int:
    """Return about as many tokens as a byte-pair encoder would give, at least 1."""
    pieces = _PIECE.findall(text)
    return max(1, sum(1 if p.isspace() else math.ceil(len(p) / 5) for p in pieces if p != " "))


def _weight(value: object) -> int:
    return of_text(value if isinstance(value, str) else json.dumps(value, sort_keys=True))


def _blocks(content: object) -> list[dict[str, Any]]:
    if isinstance(content, list):
        return [block for block in content if isinstance(block, dict)]
    return [{"type": "text", "text": str(content)}]


def _bare(block: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in block.items() if key != "cache_control"}


def of_request(body: dict[str, Any]) -> Count:
    """Return the prompt tokens of a request body, in the order the API caches in."""
    total = 8
    marks: list[int] = []
    known = 0  # the prefix that the service has seen in an earlier request
    if body.get("cache_control"):
        marks.append(-1)
    for tool in _blocks(body.get("tools") or []):
        total += _weight(_bare(tool))
        if tool.get("cache_control"):
            marks.append(total)
    for block in _blocks(body.get("system") or ""):
        total += _weight(block.get("text", ""))
        if block.get("cache_control"):
            marks.append(total)
    for message in body.get("messages") or []:
        if message.get("role") == "assistant":
            known = total
        total += _PER_MESSAGE
        for block in _blocks(message.get("content")):
            total += _weight(block.get("text") if "text" in block else _bare(block))
            if block.get("cache_control"):
                marks.append(total)
    end = total if -1 in marks else max(marks, default=0)
    if end < _LEAST_CACHED:
        return Count(total, 0, 0)
    read = min(known, end) if known >= _LEAST_CACHED else 0
    return Count(total - end, read, end - read)
