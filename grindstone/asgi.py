"""Serving an ASGI application on the running event loop, beside whatever else it does."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import uvicorn


class _Embedded(uvicorn.Server):
    """Leaves the process's signal handlers alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


def bound(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """Return a socket for `serving` at an address of TCP.

    It names its protocol: of others asyncio does not know that small writes are not to wait for an
    acknowledgement, which takes 40 ms.

    Args:
        host: A literal, of IPv4 or IPv6.
        port: 0 takes a free one.

    Raises:
        OSError: The address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


@contextlib.asynccontextmanager
async def serving(app: Any, sock: socket.socket) -> AsyncIterator[None]:
    """Serve at a socket until the block ends; requests under way then are cut off.

    Args:
        app: The application.
        sock: Bound, of any family; closed at the end.

    Raises:
        OSError: It cannot be listened on.
    """
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="off", ws="none", backlog=128
    )
    server = _Embedded(config)
    running = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        while not server.started:
            if running.done():
                await running
                raise OSError("the server ended before it answered")
            await asyncio.sleep(0.005)
        yield
    finally:
        server.should_exit = True
        server.force_exit = True
        await running
        sock.close()
