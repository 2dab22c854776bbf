"""Which runs' rows have changed lately: the ledger's tail, by the times of its folders."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import unquote

from grindstone.home import Home, is_one_name
from grindstone.view.cached import changed_ns

WATCHED = ("runs", "episodes", "evolutions")
EVERY_S = 0.5
LIFE_S = 8.0
"""A stream ends after so long and is asked for anew, so that it never holds up a server's end."""


def state_of(home: Home) -> dict[str, int]:
    """Return, for each run, when it last gained rows or an order."""
    found: dict[str, int] = {}
    for table in WATCHED:
        folder = home.ledger / table
        for own in folder.glob("run=*") if folder.is_dir() else ():
            key = unquote(own.name.removeprefix("run="))
            if is_one_name(key):
                found[key] = max(found.get(key, 0), changed_ns(own))
    for key, at in found.items():
        found[key] = max(at, changed_ns(home.run(key).orders))
    return found


async def watch(home: Home) -> AsyncIterator[list[str]]:
    """Yield the keys of runs that have changed; at first none, which says that it listens."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + LIFE_S
    before = await asyncio.to_thread(state_of, home)
    yield []
    while loop.time() < ends:
        await asyncio.sleep(EVERY_S)
        now = await asyncio.to_thread(state_of, home)
        if changed := sorted(key for key, at in now.items() if before.get(key) != at):
            yield changed
        before = now
