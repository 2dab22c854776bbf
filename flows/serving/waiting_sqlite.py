"""SQLite for a Prefect server, patient.

Prefect begins most of its SQLite transactions as readers. One that then writes while another
writer was faster cannot wait: SQLite fails it at once, the API answers 503, and the client
sleeps two seconds or more. A transaction that asks for the write lock as it begins waits
for it, milliseconds as a rule.

Some of Prefect's transactions open a second session, to read (one that pauses a work queue does).
That begins as Prefect has it: with the lock it would wait for the one it is part of.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from prefect.server.database.configurations import SQLITE_BEGIN_MODE, AioSqliteConfiguration
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction


class WaitingSqlite(AioSqliteConfiguration):
    """SQLite whose transactions take the write lock as they begin."""

    @asynccontextmanager
    async def begin_transaction(
        self, session: AsyncSession, with_for_update: bool = False
    ) -> AsyncGenerator[AsyncSessionTransaction, None]:
        """Begin with the write lock, whether or not a row is to be locked."""
        async with super().begin_transaction(session, with_for_update=True) as transaction:
            await session.connection()  # now; it would begin at its first statement
            token = SQLITE_BEGIN_MODE.set("DEFERRED")
            try:
                yield transaction
            finally:
                SQLITE_BEGIN_MODE.reset(token)
