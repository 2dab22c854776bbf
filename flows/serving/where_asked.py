"""The server's own addresses, told at the host by which somebody reaches it.

Prefect tells its UI one whole address of the API, and keeps one of a block type's picture; its
client takes no other. Both name the server's own port, where a browser behind a tunnel with another
port reaches nothing. So they are changed as they leave, to the host that the request names.
"""

import re
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PLACES = ("/ui-settings", "/api/block_")
"""Where such addresses are told: what begins so."""

_OWN = re.compile(rb'https?://127\.0\.0\.1:\d+(?=/api"|/grindstone/)')
_HOST = re.compile(r"[\w.-]+(:\d+)?|\[[\da-f:]+\](:\d+)?", re.IGNORECASE)


class AddressesWhereAsked:
    """Middleware that does so."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap Prefect's application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        host = Headers(scope=scope).get("host", "") if scope["type"] == "http" else ""
        if not _HOST.fullmatch(host) or not scope["path"].startswith(PLACES):
            await self._app(scope, receive, send)
            return
        here = f"{scope['scheme']}://{host}".encode()
        begun: list[Message] = []
        body = bytearray()

        async def kept(message: Message) -> None:
            if message["type"] == "http.response.start":
                begun.append(message)
                return
            body.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            whole = _OWN.sub(here, bytes(body))
            headers = MutableHeaders(raw=begun[0]["headers"])
            if "content-length" in headers:
                headers["content-length"] = str(len(whole))
            await send(begun[0])
            await send({"type": "http.response.body", "body": whole})

        await self._app(_uncompressed(scope), receive, kept)


def _uncompressed(scope: Scope) -> dict[str, Any]:
    """Return a request that asks for a body as it is."""
    headers = [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]
    return {**scope, "headers": headers}
