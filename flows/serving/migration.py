"""Bring the server's database to this version's schema, one process at a time.

Prefect's processes each do so as they start, and several that start together run into each other.
Before them, in each of their pods:

    python -m grindstone.flows.serving.migration
"""

import asyncio
import subprocess
import sys

import asyncpg  # type: ignore[import-untyped]
from prefect.settings import get_current_settings

from grindstone.errors import InputError

VARIABLE = "PREFECT_API_DATABASE_CONNECTION_URL"

LOCK = 0x6772696E64
"""Of PostgreSQL's advisory locks, ours: "grind" in ASCII."""

TRY = "SELECT pg_try_advisory_lock($1)"

LOOK_S = 1.0

UPGRADE = (sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes")


async def migrate(url: str) -> int:
    """Wait for the lock, and hold it while Prefect changes the schema where it has to.

    Args:
        url: The database, as SQLAlchemy writes it: `postgresql+asyncpg://…`.

    Returns:
        The exit code of Prefect's command.

    Raises:
        InputError: The database cannot hold all text; Prefect would answer 503 to what it cannot.
    """
    connection = await asyncpg.connect(url.replace("+asyncpg", "", 1))
    try:
        if (encoding := await connection.fetchval("SHOW server_encoding")) != "UTF8":
            expected = "one that was made by `initdb` or `createdb` with --encoding=UTF8"
            raise InputError(VARIABLE, f"its database has the encoding {encoding}", expected)
        # Not by a query that waits: for its end an index that is made concurrently would wait, too.
        while not await connection.fetchval(TRY, LOCK):  # noqa: ASYNC110 - others hold it
            await asyncio.sleep(LOOK_S)
        process = await asyncio.create_subprocess_exec(*UPGRADE, stdout=subprocess.DEVNULL)
        return await process.wait()
    finally:
        await connection.close()


def main() -> int:
    """Migrate the database of `PREFECT_API_DATABASE_CONNECTION_URL`."""
    url = get_current_settings().server.database.connection_url
    if url is None or not url.get_secret_value().startswith("postgresql+asyncpg:"):
        print(f"{VARIABLE}: expected postgresql+asyncpg://…", file=sys.stderr)
        return 2
    try:
        return asyncio.run(migrate(url.get_secret_value()))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
