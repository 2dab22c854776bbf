"""What makes two requests of an attempt the same, though it is made again.

An attempt that a kill cut short is made again from its beginning, in a fresh sandbox, by a program
we do not steer. The answers it had are in the journal. It asks for them in the same order, but its
requests differ in what time and chance alone change: dates, clocks, temporary names, ids of its
session; and in what its commands showed, which is as it is in the new sandbox. So a request is
known by what the conversation began with, dates and ids blotted out, and by what the model has
said in it since; what tools gave takes no part. Nothing else can follow the same answers: the
model's own words and the ids of its calls tell one place of a conversation from all others. Where
the very same request comes again after its answer had been received whole, it is another one.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from pydantic import JsonValue

from grindstone.digest import digest
from grindstone.llm.messages import CallSite
from grindstone.llm.service import Api
from grindstone.llm.volatile import masked

PIECE_CHARS = 32_768
"""Of a text, looked through at once: a tenth of a second on a busy machine."""

_MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
_CHANCE = (
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
    # What is called an id of somebody's session, and what looks like one: a kind, then chance.
    r"\b(?:session|conversation|thread|request|trace)[ _-]?id\W{1,4}[\w-]{6,}",
    r"\b(?:ses|sess|session|conv|thread|req|trace)_(?=[a-z]*\d)\w{8,}",
    r"(?<=/tmp/)[\w.-]*?[._-](?=[a-z]*\d)\w{6,}",  # beside `tempfile`'s own names
    r"(?<=127\.0\.0\.1:)(?:3[2-9]|[45]\d|6[0-5])\d{3}\b",  # ports that a system gives out
    r"(?<=localhost:)(?:3[2-9]|[45]\d|6[0-5])\d{3}\b",
    rf"\b(?:{_MONTHS}) \d{{4}}\b",
    r"\b(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day\b",
    r"\b\d{1,2}/\d{1,2}/\d{4}\b|\b\d{4}/\d{1,2}/\d{1,2}\b",
    r"\b\d{1,2}:\d{2}(?::\d{2})? ?[AP]M\b",
    r"\b1[5-9]\d{11}\b",  # milliseconds since 1970
)
_IDS = re.compile("|".join(f"(?:{pattern})" for pattern in _CHANCE), re.IGNORECASE)


def settled_text(text: str) -> str:
    """Return a text with what time and chance alone change in it blotted out."""
    return "".join(settled_piece(piece) for piece in _pieces(text))


@lru_cache(maxsize=512)  # a conversation's beginning comes with each of its requests
def settled_piece(text: str) -> str:
    """Return a text that is no longer than a piece, likewise; other threads wait meanwhile."""
    return masked(_IDS.sub("~", text))


def _pieces(text: str) -> Iterator[str]:
    """Yield a text in pieces that end with a line, or a word, where they can."""
    start = 0
    while len(text) - start > PIECE_CHARS:
        end = start + PIECE_CHARS
        for mark in "\n ":
            if (found := text.rfind(mark, start, end)) > start:
                end = found + 1
                break
        yield text[start:end]
        start = end
    yield text[start:]


def call_key(
    *, run_key: str, site: CallSite, api: Api, model: str, settled: str, occurrence: int
) -> str:
    """Return a proxied call's identity.

    Args:
        run_key: The run.
        site: Its role and scope; the turn takes no part, since a program may ask side by side.
        api: How it was asked.
        model: Whom.
        settled: Digest of the request's identity.
        occurrence: How many answers to the very same request were received whole before.
    """
    parts: dict[str, JsonValue] = {
        "run": run_key,
        "role": site.role.value,
        "scope": site.scope,
        "api": api.value,
        "model": model,
        "request": settled,
        "occurrence": occurrence,
    }
    return digest(parts)
