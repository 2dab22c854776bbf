"""What a service says that an answer used, believed as far as it can be true.

A count that is negative, no number, or more than any answer can take would end up in sums, ceilings
and 64-bit columns for good; it says as little as a count that is missing. Then size stands in: a
ceiling must hold with services that tell nothing.
"""

from collections.abc import Mapping
from typing import Any

from grindstone.records import Usage

BYTES_PER_TOKEN = 4.0
"""Of prose and JSON, about; for services that tell no usage."""
MOST_TOKENS = 100_000_000
"""Of one count of one call: a hundred times the longest context that a service offers."""


def tokens_told(told: Mapping[str, Any], *names: str) -> int | None:
    """Return the first count that stands under one of the names.

    Returns:
        From 0 to `MOST_TOKENS`; None: none is told.

    Raises:
        ValueError: It is told, and no such count.
    """
    for name in names:
        if (value := told.get(name)) is None:
            continue
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not 0 <= value <= MOST_TOKENS or value != int(value):
            raise ValueError(f"{name}: {value!r} is no count of tokens")
        return int(value)
    return None


def guessed_by_size(prompt_bytes: int, written: int) -> Usage:
    """Return what a request and an answer of these sizes used, about.

    Args:
        prompt_bytes: The request's, as JSON.
        written: The answer's, in characters.
    """
    return Usage(
        input_tokens=int(prompt_bytes / BYTES_PER_TOKEN),
        output_tokens=int(written / BYTES_PER_TOKEN),
    )
