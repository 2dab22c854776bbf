"""How the loss of a Prefect server is known: by what its client raises, however it ends."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from httpx import ConnectError
from prefect.client.orchestration import PrefectClient
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import get_current_settings

from grindstone.boundary import step_boundary
from grindstone.errors import Cause, InfrastructureError
from grindstone.home import Home
from grindstone.tasks.lost_steps import losses_kept, losses_of
from grindstone.tasks.server_loss import is_server_loss, telling_server_loss


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/api"


@pytest.fixture
def tries() -> Iterator[list[int]]:
    """Puts back how often the client tries."""
    client = get_current_settings().client
    before = client.max_retries
    yield [before]
    client.max_retries = before


@pytest.mark.slow
async def test_a_request_that_cannot_be_sent(nobody: str, tries: list[int]):
    get_current_settings().client.max_retries = 0
    with pytest.raises(ConnectError) as raised:
        async with PrefectClient(nobody) as client:
            await client.hello()
    assert is_server_loss(raised.value)
    with pytest.raises(RuntimeError, match="Failed to reach API") as wrapped:
        async with PrefectClient(nobody) as client:
            await client.raise_for_api_version_mismatch()
    assert is_server_loss(wrapped.value)


@pytest.mark.slow
async def test_a_request_that_is_given_up_while_it_waits_costs_the_run_and_no_step(
    tries: list[int], tmp_path: Path
):
    """As `lost_server` does it: the client has an assertion for that and no error."""
    came = asyncio.Event()

    def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        came.set()

    async def ask(api_url: str) -> None:
        async with PrefectClient(api_url) as client:
            await client.hello()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(InfrastructureError) as told, telling_server_loss():
            async with losses_kept(Home.at(tmp_path), "K"):
                with step_boundary("artifact"):
                    asking = asyncio.create_task(ask(f"http://127.0.0.1:{port}/api"))
                    await came.wait()
                    await asyncio.sleep(0.3)  # it waits for two seconds or so now
                    get_current_settings().client.max_retries = 0
                    await asking
    assert told.value.cause is Cause.PREFECT_SERVER
    assert isinstance(told.value.__cause__, AssertionError)
    assert not await losses_of(Home.at(tmp_path), "K")


@contextlib.asynccontextmanager
async def answering(status: str) -> AsyncIterator[str]:
    """A server that answers each request alike."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\n{{}}".encode())
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api"


async def test_a_server_that_failed_is_none_of_grindstones_faults(tmp_path: Path):
    with pytest.raises(InfrastructureError, match=r"it failed \(HTTP 500\)") as told:
        async with answering("500 Internal Server Error") as url, PrefectClient(url) as client:
            with telling_server_loss():
                async with losses_kept(Home.at(tmp_path), "K"):
                    with step_boundary("artifact"):
                        await client.hello()
    assert told.value.cause is Cause.PREFECT_SERVER
    assert not await losses_of(Home.at(tmp_path), "K")


async def test_a_server_that_refuses_what_it_is_asked_is_there():
    with pytest.raises(PrefectHTTPStatusError) as raised:
        async with answering("409 Conflict") as url, PrefectClient(url) as client:
            await client.hello()
    assert not is_server_loss(raised.value)


@pytest.mark.parametrize("error", [AssertionError("ours"), RuntimeError("x"), ValueError("y")])
def test_other_errors_are_none(error: Exception):
    with pytest.raises(type(error)) as raised, telling_server_loss():
        raise error
    assert not is_server_loss(raised.value)
