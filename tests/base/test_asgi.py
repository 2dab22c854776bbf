"""Serving beside other work."""

import asyncio
import socket

import pytest

from grindstone.asgi import bound


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_an_answers_small_pieces_do_not_wait_for_each_other(host: str):
    seen: list[int] = []

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met = writer.get_extra_info("socket")
        seen.append(met.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with bound(host) as sock:
        sock.listen()
        server = await asyncio.start_server(meet, sock=sock)
        reader, writer = await asyncio.open_connection(*sock.getsockname()[:2])
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()
    assert seen == [1]


def test_an_address_that_is_taken_is_told():
    with bound() as sock, pytest.raises(OSError, match="in use"):
        sock.listen()
        bound(port=sock.getsockname()[1])
