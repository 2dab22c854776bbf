"""Ending the sandboxes of this machine whose process is gone, whichever provider they are of."""

import asyncio
from typing import NamedTuple

from grindstone.errors import GrindstoneError
from grindstone.sandbox.capabilities import engine_of
from grindstone.sandbox.provider import open_provider
from grindstone.sandbox.registry import PROVIDERS


class Reaped(NamedTuple):
    """What one provider had left."""

    kind: str
    ended: int
    problem: str
    """Why not all of it could be ended; empty where it could."""


async def reap_dead() -> list[Reaped]:
    """End them, with every provider that works here; one that does not is left out.

    Sandboxes name the process that started them. Those of processes that live, and those of
    other machines, are let be.
    """
    told = []
    for row in PROVIDERS:
        if not (await asyncio.to_thread(engine_of, row)).works:
            continue
        kind = row.kind
        try:
            provider = await open_provider(kind)
            try:
                told.append(Reaped(kind, await provider.reap(), ""))
            finally:
                await provider.close()
        except GrindstoneError as error:
            told.append(Reaped(kind, 0, str(error)))
    return told
