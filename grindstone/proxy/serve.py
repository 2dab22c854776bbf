"""Opening an attempt's way to its model: the session, answered at a door of its sandbox."""

import contextlib
import socket
from collections.abc import AsyncIterator

from grindstone.asgi import serving
from grindstone.llm.client import JournaledModel
from grindstone.llm.sse import http_client
from grindstone.proxy.app import app_of
from grindstone.proxy.session import CallLimits, Session
from grindstone.records import Role


@contextlib.asynccontextmanager
async def open_session(
    model: JournaledModel,
    door: socket.socket,
    *,
    scope: str,
    task_id: str,
    limits: CallLimits,
    role: Role = Role.SOLVER,
) -> AsyncIterator[Session]:
    """Answer at a door of a sandbox until the block ends; from then on the token opens nothing.

    Args:
        model: Who answers.
        door: A socket that listens inside the sandbox, and nowhere else.
        scope: The attempt: its calls are journaled by it.
        task_id: For the calls' records.
        limits: When it stops answering.
        role: Who asks, for the calls' records.

    Raises:
        InputError: Only the SDK reaches the model.
    """
    service = await model.service()
    session = Session(model.calls, service, scope=scope, task_id=task_id, limits=limits, role=role)
    try:
        async with (
            http_client(service, model.calls.books.patience) as client,
            serving(app_of(session, client), door),
        ):
            try:
                yield session
            except BaseException:  # the attempt was called off, or cannot go on
                session.over.set()
                await session.drop(patience_s=0)
                raise
            session.over.set()
            await session.drop()
    finally:
        session.over.set()
