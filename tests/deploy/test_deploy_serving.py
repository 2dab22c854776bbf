import asyncio
import os
from http import HTTPStatus

import httpx
import pytest

from grindstone.flows.serving.login import VARIABLE, as_header

pytestmark = pytest.mark.server


async def test_writers_at_the_same_time_wait_for_each_other(prefect_server: str) -> None:
    """SQLite refuses a reader that turns writer too late; the client would pause for seconds."""
    headers = as_header(os.environ[VARIABLE])
    async with httpx.AsyncClient(base_url=prefect_server, headers=headers, timeout=60) as client:
        flow = (await client.post("/flows/", json={"name": "crowd"})).json()["id"]

        async def run(number: int) -> int:
            body = {"flow_id": flow, "name": f"run-{number}", "state": {"type": "PENDING"}}
            return (await client.post("/flow_runs/", json=body)).status_code

        codes = await asyncio.gather(*(run(number) for number in range(80)))
    assert set(codes) == {HTTPStatus.CREATED}
