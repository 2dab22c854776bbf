"""How a run's command ends that was stopped, or that could not go on."""

import asyncio
import contextlib
import os
import signal
import threading

import pytest
from pydantic import BaseModel, model_serializer

from grindstone.errors import InfrastructureError
from grindstone.flows.cli.stopping import Stopped, Stopping, stopping
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


class Signalled(BaseModel):
    """As when a signal comes while Prefect's settings are read, which is part of its import."""

    @model_serializer
    def _told(self) -> str:
        assert threading.current_thread() is threading.main_thread()
        os.kill(os.getpid(), signal.SIGTERM)
        return ""


def test_a_signal_that_comes_while_prefect_is_loading_is_no_fault_of_anybodys():
    with pytest.raises(Stopped) as told, stopping():
        Signalled().model_dump()
    assert told.value.exit_code == 143


def test_a_signal_that_a_library_dropped_while_it_was_loading_begins_no_run():
    begun: list[str] = []

    async def work() -> None:
        begun.append("run")

    with pytest.raises(Stopped) as told, stopping() as stop:
        with contextlib.suppress(BaseException):
            Signalled().model_dump()
        stop.run(work)
    assert (told.value.exit_code, begun) == (143, [])
