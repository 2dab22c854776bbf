"""How often a model is asked by processes that share a Prefect server and nothing else."""

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from support import pacer
from support.model_service import MODEL, serving, stream_of

from grindstone.errors import Cause, InfrastructureError
from grindstone.flows.serving.addresses import free_port
from grindstone.llm.pace import BucketSize, Paces, Rates
from grindstone.tasks.server_bucket import ServerBucket

pytestmark = [pytest.mark.catalogue(of="what workers share"), pytest.mark.server, pytest.mark.slow]

RATE = 240
SECONDS = 12.0


async def test_two_processes_together_keep_the_rate(prefect_server: str):
    came: list[tuple[float, str]] = []
    pace = Paces(Rates(requests_per_minute=RATE), ServerBucket).of(MODEL)
    assert pace is not None
    await pace.make()

    async with serving() as service:

        def reply(body):
            came.append((time.monotonic(), body["model"]))
            return stream_of(service.content)

        service.reply = reply
        environ = os.environ | {
            "PREFECT_API_URL": prefect_server,
            "PREFECT_API_AUTH_STRING": PREFECT_API_AUTH_STRING.value(),
            "PYTHONPATH": str(Path(pacer.__file__).parents[1]),
        }
        processes = [
            await asyncio.create_subprocess_exec(
                *(sys.executable, pacer.__file__, name, service.url, str(RATE)), env=environ
            )
            for name in ("one", "two")
        ]
        try:
            while not came:
                await asyncio.sleep(0.1)
            await asyncio.sleep(SECONDS)
        finally:
            for process in processes:
                process.kill()
                await process.wait()
    size, at = BucketSize.of(RATE), [seen for seen, _ in came]
    for span in (1.0, 3.0, SECONDS):
        most = max(sum(begin <= seen < begin + span for seen in at) for begin in at)
        # What is taken ahead may be used a second later.
        assert most <= size.holds + (span + 1) * size.per_s + 1
    assert len(at) > size.holds + SECONDS * size.per_s / 3


async def test_without_its_server_nothing_is_taken():
    nobody = f"http://127.0.0.1:{free_port()}/api"
    with (
        temporary_settings({PREFECT_API_URL: nobody}),
        pytest.raises(InfrastructureError, match="cannot be counted") as caught,
    ):
        await ServerBucket("m requests a minute", BucketSize.of(60)).take(1)
    assert caught.value.cause is Cause.PREFECT_SERVER
