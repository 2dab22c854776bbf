"""The program our servers run: Prefect's own command line, patient on SQLite and watchful.

    python -m grindstone.flows.serving server start --port 4200

Prefect begins most of its SQLite transactions as readers. One that then writes while another
writer was faster cannot wait: SQLite fails it at once, the API answers 503, and the client
sleeps two seconds or more. A transaction that asks for the write lock as it begins waits
for it, milliseconds as a rule. Nothing changes on PostgreSQL.

Beside it, a thread closes the runs whose process is gone (`grindstone.flows.liveness`).
"""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext

from prefect.cli import app
from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.server.database.dependencies import temporary_database_config
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

from grindstone.flows.liveness import watch


class WaitingSqlite(AioSqliteConfiguration):
    """SQLite whose transactions take the write lock as they begin."""

    @asynccontextmanager
    async def begin_transaction(
        self, session: AsyncSession, with_for_update: bool = False
    ) -> AsyncGenerator[AsyncSessionTransaction, None]:
        """Begin with the write lock, whether or not a row is to be locked."""
        async with super().begin_transaction(session, with_for_update=True) as transaction:
            yield transaction


def main() -> None:
    """Run Prefect's command line on our database configuration."""
    watch(os.environ["PREFECT_SERVER_UI_API_URL"], os.environ["PREFECT_SERVER_API_AUTH_STRING"])
    url = PREFECT_API_DATABASE_CONNECTION_URL.value()
    sqlite = url.startswith("sqlite")
    with temporary_database_config(WaitingSqlite(url)) if sqlite else nullcontext():
        app()


if __name__ == "__main__":
    main()
