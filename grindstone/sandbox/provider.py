"""Choosing what provides sandboxes on this machine; never the bare host."""

import asyncio
from pkgutil import resolve_name

from grindstone.errors import GrindstoneError, InputError
from grindstone.sandbox.capabilities import engine_of
from grindstone.sandbox.protocol import SandboxProvider
from grindstone.sandbox.registry import AUTO, KINDS, PROVIDERS, Choice


async def open_provider(choice: Choice = AUTO, runtime: str | None = None) -> SandboxProvider:
    """Return a provider; the caller closes it.

    Args:
        choice: A kind of the table, or auto for the first that works.
        runtime: Docker's OCI runtime (runsc, say); None for the engine's default.

    Raises:
        InputError: There is no such kind or runtime.
        GrindstoneError: What was chosen is not there; the message says what to install.
    """
    if choice not in {AUTO, *KINDS}:
        raise InputError("sandbox", f"there is no {choice!r}", ", ".join((AUTO, *KINDS)))
    tools = []
    for row in PROVIDERS:
        if choice not in {AUTO, row.kind}:
            continue
        tools.append(await asyncio.to_thread(engine_of, row))
        if tools[-1].works:
            chosen = () if runtime is None else (runtime,)
            opened: SandboxProvider = await asyncio.to_thread(resolve_name(row.provider), *chosen)
            return opened
    missing = "; ".join(f"{tool.name}: {tool.reason} (try: {tool.remedy})" for tool in tools)
    raise GrindstoneError(f"no sandbox on this machine: {missing}")
