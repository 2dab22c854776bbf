"""A driver whose clock is wrong: what it sends is due at once, by the server's."""

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.skewed_clock import cannot_skew, skewed

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(bool(cannot_skew()), reason=cannot_skew()),
]

SEND = """
import asyncio
import os
import sys
from prefect import get_client
from grindstone.flows.dispatch.slice_pool import SlicePool
from grindstone.flows.dispatch.attempt_slice import DEPLOYMENT, AttemptSlice

async def main():
    flow_name, name = DEPLOYMENT.split("/")
    async with get_client() as client:
        flow_id = await client.create_flow_from_name(flow_name)
        await client.create_deployment(flow_id, name)
        pool = await SlicePool.of(client, "r")
        os.environ["CLOCK_SKEW_S"] = sys.argv[1]
        print(await pool.send(AttemptSlice.model_construct()))

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("skew_s", "then_s"),
    [(3600, 3600), (-3600, -3600), (0, 3600)],
    ids=["ahead", "behind", "jumps"],
)
async def test_a_slice_of_a_driver_whose_clock_is_wrong_is_due_at_once(
    prefect_server: str, tmp_path: Path, skew_s: int, then_s: int
):
    from prefect import get_client
    from prefect.settings import get_current_settings

    environment = {
        **os.environ,
        **get_current_settings().to_environment_variables(include_secrets=True),
        **skewed(tmp_path, skew_s),
    }
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", SEND, str(then_s)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    run_id = done.stdout.strip()
    async with get_client() as client:
        run = await client.read_flow_run(run_id)
        await client.delete_flow_run(run.id)
        assert run.deployment_id is not None
        await client.delete_deployment(run.deployment_id)
    assert run.expected_start_time is not None
    assert abs((run.expected_start_time - datetime.now(UTC)).total_seconds()) < 60
