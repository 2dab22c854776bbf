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
from functools import lru_cache

from pydantic import JsonValue

from grindstone.digest import digest
from grindstone.llm.messages import CallSite
from grindstone.llm.service import Api
from grindstone.llm.volatile import masked

_IDS = re.compile(
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"  # a session's
    r"|\b(?:January|February|March|April|May|June|July|August|September|October|November|December)"
    r" \d{4}\b",
    re.IGNORECASE,
)


@lru_cache(maxsize=256)  # a conversation's beginning comes with each of its requests
def settled_text(text: str) -> str:
    """Return a text with what time and chance alone change in it blotted out."""
    return masked(_IDS.sub("~", text))


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
