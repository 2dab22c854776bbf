"""The program our servers run: Prefect's own command line, patient on SQLite and watchful.

    python -m grindstone.flows.serving server start --port 4200

Prefect begins most of its SQLite transactions as readers. One that then writes while another
writer was faster cannot wait: SQLite fails it at once, the API answers 503, and the client
sleeps two seconds or more. A transaction that asks for the write lock as it begins waits
for it, milliseconds as a rule. Nothing changes on PostgreSQL.

Beside it, a thread closes the runs whose process is gone (`grindstone.flows.liveness`), and the
home's viewer is at `/grindstone/`, for those who have the server's login.
"""

import asyncio
import functools
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

from prefect.cli import app
from prefect.server.api import server
from prefect.server.database.configurations import AioSqliteConfiguration
from prefect.server.database.dependencies import temporary_database_config
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction
from starlette.responses import RedirectResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from grindstone.flows.liveness import watch
from grindstone.flows.login import as_header
from grindstone.flows.server import HOME_VARIABLE

VIEWER = "/grindstone"
"""Where the viewer is, below the server's address."""


class WaitingSqlite(AioSqliteConfiguration):
    """SQLite whose transactions take the write lock as they begin."""

    @asynccontextmanager
    async def begin_transaction(
        self, session: AsyncSession, with_for_update: bool = False
    ) -> AsyncGenerator[AsyncSessionTransaction, None]:
        """Begin with the write lock, whether or not a row is to be locked."""
        async with super().begin_transaction(session, with_for_update=True) as transaction:
            yield transaction


class ViewerWhenAsked:
    """The viewer of a home, imported when somebody first looks at it."""

    def __init__(self, home: Path, login: str) -> None:
        self._home, self._login = home, login
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if self._app is None:
            self._app = await asyncio.to_thread(self._make)
        await self._app(scope, receive, send)

    def _make(self) -> ASGIApp:
        from grindstone.home import Home
        from grindstone.view.app import viewer_app
        from grindstone.view.site import Site

        return viewer_app(Site(Home.at(self._home)), as_header(self._login)["Authorization"])


def with_viewer(create: Callable[..., Any], viewer: ASGIApp) -> Callable[..., Any]:
    """Return Prefect's maker of its application, with the viewer before the UI's catch-all."""

    @functools.wraps(create)
    def created(*arguments: Any, **options: Any) -> Any:
        made = create(*arguments, **options)
        way = Route(VIEWER, lambda _: RedirectResponse(f"{VIEWER}/"))
        made.router.routes[:0] = [way, Mount(VIEWER, viewer)]
        return made

    return created


def main() -> None:
    """Run Prefect's command line on our database configuration, with the viewer beside its UI."""
    viewer = ViewerWhenAsked(
        Path(os.environ[HOME_VARIABLE]), os.environ["PREFECT_SERVER_API_AUTH_STRING"]
    )
    server.create_app = with_viewer(server.create_app, viewer)
    watch(os.environ["PREFECT_SERVER_UI_API_URL"], os.environ["PREFECT_SERVER_API_AUTH_STRING"])
    url = PREFECT_API_DATABASE_CONNECTION_URL.value()
    sqlite = url.startswith("sqlite")
    with temporary_database_config(WaitingSqlite(url)) if sqlite else nullcontext():
        app()


if __name__ == "__main__":
    main()
