"""How a run's command ends that nobody stopped, and that could not go on."""

import asyncio

import pytest

from grindstone.errors import InfrastructureError
from grindstone.flows.cli.stopping import Stopping
from grindstone.sync import ender


async def lose_its_lock() -> None:
    end = ender("the run was called off")
    await asyncio.to_thread(end, "another machine has its lock")
    await asyncio.sleep(60)


def test_a_run_that_loses_what_it_holds_says_so_and_is_no_traceback():
    with pytest.raises(
        InfrastructureError, match="the run was called off: another machine has its lock"
    ):
        Stopping().run(lose_its_lock)
