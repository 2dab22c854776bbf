"""How the listening socket that was made inside a sandbox comes out of it."""

import contextlib
import os
import shutil
import socket
import tempfile
from pathlib import Path

from grindstone.errors import Cause, InfrastructureError

PORT = 3128
"""Where the proxy is, inside; nothing else can be there, the namespace is the sandbox's own."""

HANDING_S = 30.0

ENVIRONMENT = {
    **{
        name: f"http://127.0.0.1:{PORT}"
        for lower in ("http_proxy", "https_proxy", "all_proxy")
        for name in (lower, lower.upper())
    },
    "no_proxy": "localhost,127.0.0.1,::1",
    "NO_PROXY": "localhost,127.0.0.1,::1",
    "NODE_USE_ENV_PROXY": "1",
}
"""What programs inside are told of it."""


def receive(channel: socket.socket) -> socket.socket:
    """Return the listening socket that the runner hands out; blocks.

    Raises:
        InfrastructureError: SANDBOX_START, none came.
    """
    channel.settimeout(HANDING_S)
    try:
        _, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
    except OSError as error:
        raise InfrastructureError(Cause.SANDBOX_START, f"no way out came: {error}") from error
    if not descriptors:
        raise InfrastructureError(Cause.SANDBOX_START, "no way out came")
    door = socket.socket(fileno=descriptors[0])
    door.setblocking(False)
    return door


class Hatch:
    """A folder on the host with a Unix socket in it, for engines that pass no descriptors."""

    NAME = "out"

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="grindstone-door-"))

    def open(self) -> socket.socket:
        """Return a socket that waits for who hands something out."""
        with contextlib.suppress(FileNotFoundError):
            (self.folder / self.NAME).unlink()
        waiting = socket.socket(socket.AF_UNIX)
        waiting.settimeout(HANDING_S)
        waiting.bind(os.fspath(self.folder / self.NAME))
        waiting.listen(1)
        return waiting

    def shut(self) -> None:
        """Leave nothing in it that the inside could speak to."""
        with contextlib.suppress(FileNotFoundError):
            (self.folder / self.NAME).unlink()

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
