"""Choosing what provides sandboxes on this machine; never the bare host."""

from typing import Literal

from grindstone.sandbox.protocol import Provider

Choice = Literal["auto", "docker", "bubblewrap"]


async def open_provider(choice: Choice = "auto") -> Provider:
    """Return a provider; the caller closes it."""
    from grindstone.sandbox.docker_provider import DockerProvider  # noqa: PLC0415

    return DockerProvider()
