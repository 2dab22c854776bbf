"""A Merkle root over rows, by the canonical JSON of RFC 8785.

Leaves and nodes are hashed as in RFC 6962, 2.1 (Certificate Transparency): a leaf is
SHA-256 of a zero byte and its content, a node of a one byte and its two children, so that
no node can be passed off as a leaf.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import Any

EXACT = 2**53 - 1
"""The largest integer that JSON of RFC 8785 holds exactly."""


def leaf(value: Any) -> str:
    """Return the digest of a JSON value as a leaf, in hex."""
    import rfc8785

    return hashlib.sha256(b"\0" + rfc8785.dumps(_exact(value))).hexdigest()


def root(leaves: Sequence[str]) -> str:
    """Return the root over leaves in their order, in hex; SHA-256 of nothing without any."""
    if not leaves:
        return hashlib.sha256().hexdigest()
    level = [bytes.fromhex(each) for each in leaves]
    while len(level) > 1:
        # The odd one rises as it is, which gives the tree of RFC 6962.
        pairs = [
            hashlib.sha256(b"\1" + level[at] + level[at + 1]).digest()
            for at in range(0, len(level) - 1, 2)
        ]
        level = [*pairs, *level[len(pairs) * 2 :]]
    return level[0].hex()


def _exact(value: Any) -> Any:
    """Spell numbers that RFC 8785 has no form for as text with a mark."""
    if isinstance(value, dict):
        return {key: _exact(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_exact(each) for each in value]
    if isinstance(value, bool):
        return value
    unfit = abs(value) > EXACT if isinstance(value, int) else False
    if unfit or (isinstance(value, float) and not math.isfinite(value)):
        return {"$number": str(value)}
    return value
