"""Choosing what provides sandboxes on this machine; never the bare host."""

import asyncio
from typing import Literal

from grindstone.errors import GrindstoneError
from grindstone.sandbox.capabilities import Capabilities, probe
from grindstone.sandbox.protocol import Provider

Choice = Literal["auto", "docker", "bubblewrap"]


async def open_provider(choice: Choice = "auto") -> Provider:
    """Return a provider; the caller closes it.

    Args:
        choice: auto takes Docker when an engine answers, else bubblewrap.

    Raises:
        GrindstoneError: What was chosen is not there; the message says what to install.
    """
    found = await asyncio.to_thread(probe)
    if choice == "docker" or (choice == "auto" and found.docker.works):
        _require(found, "docker")
        from grindstone.sandbox.docker_provider import DockerProvider  # noqa: PLC0415

        return await asyncio.to_thread(DockerProvider)
    _require(found, choice)
    from grindstone.sandbox.bwrap_provider import BubblewrapProvider  # noqa: PLC0415

    return BubblewrapProvider()


def _require(found: Capabilities, choice: Choice) -> None:
    tools = {"docker": [found.docker], "bubblewrap": [found.bubblewrap]}.get(
        choice, [found.docker, found.bubblewrap]
    )
    if not any(tool.works for tool in tools):
        missing = "; ".join(f"{tool.name}: {tool.reason} (try: {tool.remedy})" for tool in tools)
        raise GrindstoneError(f"no sandbox on this machine: {missing}")
