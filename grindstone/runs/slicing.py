"""How many attempts travel together when a run sends them to a work pool.

A flow run of its own for each attempt costs more than most attempts do: a worker takes about ten
seconds to start one. A slice keeps a worker busy for a while; towards the end slices get smaller,
so that no worker waits long for another one (factoring: Hummel, Schonberg and Flynn, 1992). A slice
that has little left is handed more, by the same rule. The last attempts go where a place is idle:
one that waited behind others in a slice could have been made in another meanwhile.
"""

import math
from collections.abc import Sequence

SLICE_S = 120.0
"""How long a slice keeps its worker busy where no size is set, or others wait for the worker."""
GUESS_S = 30.0
"""What an attempt takes, until the run has seen one."""
AHEAD_S = 6.0
"""How long a slice must be busy with what it has: until what it did is seen, and more has come."""
MOST_BYTES = 256_000
"""What the specifications of a slice may take: Prefect refuses parameters of 512 kB."""


def slice_size(
    left: int,
    *,
    slices: int,
    at_once: int,
    attempt_s: float | None,
    most: int | None,
    sparing: bool = False,
) -> int:
    """Return how many attempts the next slice holds, at least 1.

    Args:
        left: Attempts that are not yet on their way.
        slices: Slices that may be on their way together.
        at_once: Attempts a slice makes side by side.
        attempt_s: Seconds an attempt takes, as seen so far; None: none was seen.
        most: The user's limit; None: what keeps a worker busy for `SLICE_S`.
        sparing: Whether any of them may turn out not to be needed: no more than its places.
    """
    if most is None:
        most = _long(at_once, attempt_s)
    share = 0 if sparing else _share(left, slices)
    return max(1, min(most, left, max(share, at_once)))


def lacking(
    unfinished: int,
    left: int,
    *,
    slices: int,
    at_once: int,
    attempt_s: float | None,
    sparing: bool = False,
) -> int:
    """Return how many more attempts to hand to a slice.

    As long as every slice will need more, 0 while none of its places will be idle before more can
    come. Of what fills all places once at the most, 0 while none is idle, unless an attempt takes
    less time than the handing.

    Args:
        unfinished: Attempts that it has and has not finished.
        left: Attempts that are not yet on their way.
        slices: Slices that may be on their way together.
        at_once: Attempts it makes side by side.
        attempt_s: Seconds an attempt takes, as seen so far; None: none was seen.
        sparing: As for `slice_size`.
    """
    ahead = at_once  # until it is known how long they take
    if attempt_s is not None:
        last = left <= slices * at_once and attempt_s > AHEAD_S
        ahead = 0 if last else math.ceil(at_once * AHEAD_S / max(attempt_s, 0.1))
    if unfinished >= at_once + ahead:
        return 0
    needed = at_once + ahead - unfinished
    if sparing:
        return needed
    return max(needed, min(_long(at_once, attempt_s), _share(left, slices)))


def _long(at_once: int, attempt_s: float | None) -> int:
    """Return how many attempts keep a slice busy for `SLICE_S`."""
    return math.ceil(at_once * SLICE_S / max(attempt_s or GUESS_S, 0.1))


def _share(left: int, slices: int) -> int:
    """Return a slice's part of half of what is left: the other half is dealt out by need."""
    return math.ceil(left / (2 * slices))


def that_fit(sizes: Sequence[int], size: int) -> int:
    """Return how many of the next attempts go into a slice, at least 1.

    Args:
        sizes: Bytes of each one's specification.
        size: How many are wanted.
    """
    total = 0
    for number, more in enumerate(sizes[:size]):
        total += more
        if total > MOST_BYTES and number:
            return number
    return max(1, min(size, len(sizes)))
