"""How a run's command ends that nobody stopped, and that could not go on."""

import asyncio

import pytest

from grindstone.errors import InfrastructureError
from grindstone.flows.cli.stopping import Stopping
from grindstone.sync import ender


async def lose_its_lock() -> None:
    end = ender("another machine has taken the run over")
    await asyncio.to_thread(end)
    await asyncio.sleep(60)


def test_a_run_that_loses_what_it_holds_says_so_and_is_no_traceback():
    with pytest.raises(InfrastructureError, match="another machine has taken the run over"):
        Stopping().run(lose_its_lock)
