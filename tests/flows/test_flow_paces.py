"""How often a model is asked by processes that share a Prefect server and nothing else."""

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_AUTH_STRING
from support import pacer
from support.model_service import serving, stream_of

from grindstone.llm.pace import BucketSize

pytestmark = [pytest.mark.server, pytest.mark.slow]

RATE = 240
SECONDS = 12.0


async def test_two_processes_together_keep_the_rate(prefect_server: str):
    came: list[tuple[float, str]] = []

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
