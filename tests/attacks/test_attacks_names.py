"""What a sandbox's requests cost the run that serves them, and addresses that only seem public."""

import asyncio
import socket
import threading
from typing import Any

import pytest

from grindstone.sandbox.network.proxy import Proxy
from grindstone.sandbox.network.rules import NetworkRules, RefusedDestination


async def test_a_name_server_that_never_answers_holds_up_its_own_sandbox_alone(monkeypatch):
    answered, real = threading.Event(), socket.getaddrinfo

    def slow(host: Any, *rest: Any, **more: Any) -> Any:
        if isinstance(host, str) and host.endswith(".slow.test"):
            answered.wait(60)
        return real("192.0.2.1", *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    door = socket.create_server(("127.0.0.1", 0))
    port = door.getsockname()[1]
    proxy = Proxy(NetworkRules(mode="public"))
    await proxy.serve(door)
    asking = []
    try:
        for number in range(60):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"CONNECT n{number}.slow.test:443 HTTP/1.1\r\n\r\n".encode())
            asking.append(writer)
        await asyncio.sleep(0.5)
        async with asyncio.timeout(5):
            assert await asyncio.to_thread(lambda: 1) == 1
    finally:
        answered.set()
        await proxy.close()
        for writer in asking:
            writer.close()


@pytest.mark.parametrize(
    "address",
    [
        *("168.63.129.16", "192.0.0.192", "192.88.99.1", "100.100.100.200", "240.0.0.1"),
        *("fec0::1", "::7f00:1", "64:ff9b:1::1", "fd00:ec2::254", "::ffff:169.254.169.254"),
    ],
)
@pytest.mark.parametrize("private", [False, True])
async def test_addresses_that_clouds_and_sites_hand_round_are_not_public(
    monkeypatch, address, private
):
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *rest, **more: real(address, *rest, **more)
    )
    if private and address in {"fd00:ec2::254", "240.0.0.1", "64:ff9b:1::1"}:
        pytest.skip("private, which images being built may reach")
    with pytest.raises(RefusedDestination):
        await NetworkRules(mode="public", private=private).pin("named.test", 443)


async def test_a_public_address_is_let_through(monkeypatch):
    real = socket.getaddrinfo
    for address in ("1.1.1.1", "2606:4700:4700::1111"):
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda _, *rest, at=address, **more: real(at, *rest, **more)
        )
        pinned = await NetworkRules(mode="public").pin("named.test", 443)
        assert pinned.addresses == (address,)
