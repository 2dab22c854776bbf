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
