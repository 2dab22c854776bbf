"""Processes of one run that spend under one ceiling, in a folder and in object storage."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from support import spender
from support.model_service import Service, serving
from support.object_storage import Bucket, Spoiled

from grindstone.home import Home
from grindstone.llm.journal import Journal
from grindstone.remote.shared_record import SharedRecord
from grindstone.runs.account import Account

pytestmark = [
    pytest.mark.catalogue(of="what workers share"),
    pytest.mark.slow,
    pytest.mark.timeout(120),
]

CALL_TOKENS = 1400  # as the service tells
NEXT_CALL_TOKENS = 1600  # as is expected at most of one that no longer fits
CEILING = 60 * CALL_TOKENS
AT_ONCE = 4


@pytest.fixture(params=["folder", "storage"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A home; storage answers a share of requests with 503."""
    if request.param == "folder":
        yield str(tmp_path / "home")
        return
    bucket: Bucket = request.getfixturevalue("s3")
    address = request.getfixturevalue("address")
    with Spoiled(bucket, rate=0.05, seed=1) as spoiled:
        patch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
        patch.setenv("AWS_ENDPOINT_URL", spoiled.bucket.endpoint)
        yield address


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with serving() as service:
        service.delay_s = 0.05
        yield service


async def spending(name: str, home: str, service: Service, tmp_path: Path):
    """Start a process that spends when it is told to, with a cache of its own."""
    environ = os.environ | {
        "GRINDSTONE_CACHE_DIR": str(tmp_path / name),
        "PYTHONPATH": str(Path(spender.__file__).parents[1]),
    }
    words = (name, home, service.url, str(CEILING), str(AT_ONCE))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, spender.__file__, *words),
        env=environ,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    return process


async def begin(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.write(b"\n")
    await process.stdin.drain()


async def answers_of(process: asyncio.subprocess.Process) -> int:
    told, _ = await process.communicate()
    assert process.returncode == 0
    return int(told)


def account_of(home: str) -> Account:
    account = SharedRecord(Home.at(home).run("K").account, Account).read()
    assert account is not None
    return account


def paid_tokens(home: str) -> int:
    entries = Journal(Home.at(home).run("K").journal).entries()
    return sum(entry.record.usage.total_tokens for entry in entries)


async def test_two_processes_together_keep_the_ceiling_and_use_it_up(
    home: str, service: Service, tmp_path: Path
):
    processes = [await spending(name, home, service, tmp_path) for name in ("one", "two")]
    for process in processes:  # together: loading takes longer than spending it all
        await begin(process)
    answers = await asyncio.gather(*map(answers_of, processes))
    assert min(answers) > 0
    assert sum(answers) == len(service.bodies)
    used = sum(answers) * CALL_TOKENS
    assert CEILING - NEXT_CALL_TOKENS < used <= CEILING
    account = await asyncio.to_thread(account_of, home)
    assert (account.settled.tokens, account.shares) == (used, {})
    assert await asyncio.to_thread(paid_tokens, home) == used


async def test_what_a_killed_process_had_set_aside_is_spent_by_the_other(
    home: str, service: Service, tmp_path: Path
):
    doomed = await spending("one", home, service, tmp_path)
    await begin(doomed)
    while len(service.bodies) < 10:
        await asyncio.sleep(0.01)
    doomed.kill()
    await doomed.wait()
    answered = len(service.bodies)
    assert (await asyncio.to_thread(account_of, home)).shares
    successor = await spending("two", home, service, tmp_path)
    await begin(successor)
    other = await answers_of(successor)
    assert len(service.bodies) == answered + other
    kept = await asyncio.to_thread(paid_tokens, home)
    assert CEILING - NEXT_CALL_TOKENS < kept <= CEILING
    assert len(service.bodies) * CALL_TOKENS <= CEILING + AT_ONCE * CALL_TOKENS
    account = await asyncio.to_thread(account_of, home)
    assert (account.settled.tokens, account.shares) == (kept, {})
