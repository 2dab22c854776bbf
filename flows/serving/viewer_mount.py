"""The home's viewer beside Prefect's UI, at `/grindstone/`, for who has the server's login."""

import asyncio
import functools
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from grindstone.flows.serving.login import as_header
from grindstone.flows.serving.where_asked import AddressesWhereAsked

VIEWER = "/grindstone"
"""Where the viewer is, below the server's address."""


MARK_PATH = f"{VIEWER}/mark.svg"
"""Where the mark of our blocks is; it wakes nothing, and nobody needs to log in to see it."""

MARK = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24">'
    '<rect width="24" height="24" rx="5" fill="#3d4a5c"/>'
    '<circle cx="12" cy="12" r="7" fill="none" stroke="#e8e4da" stroke-width="4"/>'
    '<circle cx="12" cy="12" r="1.6" fill="#e8e4da"/></svg>'
)
"""A grindstone: a wheel with its axle."""


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

        header = as_header(self._login)["Authorization"]
        by = self._login.partition(":")[0]
        return viewer_app(Site(Home.at(self._home), prefect="../"), header, by=by)


def with_viewer(create: Callable[..., Any], viewer: ASGIApp) -> Callable[..., Any]:
    """Return Prefect's maker of its application, with the viewer before the UI's catch-all."""

    @functools.wraps(create)
    def created(*arguments: Any, **options: Any) -> Any:
        made = create(*arguments, **options)
        if viewer in _mounted(made):
            return made  # Prefect hands out the application it has made again
        made.router.routes[:0] = [
            Route(VIEWER, lambda _: RedirectResponse(f"{VIEWER}/")),
            # By which runs know that they may link to it; it wakes nothing.
            Route(f"{VIEWER}/there", lambda _: Response(status_code=HTTPStatus.NO_CONTENT)),
            Route(MARK_PATH, lambda _: Response(MARK, media_type="image/svg+xml")),
            Mount(VIEWER, viewer),
        ]
        made.add_middleware(AddressesWhereAsked)
        return made

    return created


def _mounted(made: Any) -> list[ASGIApp]:
    return [route.app for route in made.routes if isinstance(route, Mount)]
