"""More than a Prefect server tells at once: what is asked of it is asked to the end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import pytest
from prefect import flow, task
from prefect.client.orchestration import SyncPrefectClient
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_LOGGING_TO_API_ENABLED,
    temporary_settings,
)
from prefect.states import Cancelled, Crashed, Late, Running

from grindstone.flows.deployment.schedules import look
from grindstone.flows.serving.login import login
from grindstone.flows.serving.server import start
from grindstone.tasks.flow_runs import run_tag, tagged

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(240)]

AT_ONCE = 3
"""What the server tells at once; 200 unless its owner says otherwise."""
MANY = 4 * AT_ONCE


@flow(name="one-of-many")
async def one_of_many() -> None:
    """It is never called: runs of it are noted as by a process that was killed."""


@task
def step_of_it() -> None:
    """A step or a subflow, as its parent has it."""


class _Noted(NamedTuple):
    client: SyncPrefectClient

    def run(self, *, tag: str = "", **more: object) -> UUID:
        noted = {"state": Running(), "tags": [tag] if tag else []} | more
        return self.client.create_flow_run(one_of_many, **noted).id

    def parts_of(self, parent: UUID, count: int, tag: str = "") -> list[UUID]:
        steps = [
            self.client.create_task_run(step_of_it, parent, str(number), state=Running())
            for number in range(count)
        ]
        return [self.run(parent_task_run_id=step.id, tag=tag) for step in steps]

    def states(self, runs: list[UUID]) -> set[str | None]:
        return {self.client.read_flow_run(each).state_name for each in runs}

    def become(self, runs: list[UUID], state: str) -> None:
        deadline = time.monotonic() + 90
        while self.states(runs) != {state}:
            assert time.monotonic() < deadline, self.states(runs)
            time.sleep(1)


@contextmanager
def _telling_few_at_once(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[_Noted, str]]:
    monkeypatch.setenv("PREFECT_SERVER_API_DEFAULT_LIMIT", str(AT_ONCE))
    state = start(home, detached=False)
    try:
        with SyncPrefectClient(state.api_url, auth_string=login(home)) as client:
            yield _Noted(client), state.api_url
    finally:
        state.server.stop()


async def test_runs_that_go_on_hide_none_that_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with _telling_few_at_once(tmp_path, monkeypatch) as (noted, api_url):
        alive = noted.parts_of(noted.run(), MANY, tag=run_tag("K"))
        left = noted.parts_of(noted.run(state=Crashed()), MANY)
        called_off = noted.parts_of(noted.run(state=Cancelled()), MANY)
        for _ in range(MANY):
            noted.run(state=Late(scheduled_time=datetime.now(UTC) - timedelta(hours=1)))
        assert look(api_url, login(tmp_path)).late == MANY
        noted.become(left, "Crashed")
        noted.become(called_off, "Cancelled")
        assert noted.states(alive) == {"Running"}

        @flow(name="goes-on")
        async def goes_on() -> None:
            async with tagged("K"):
                pass

        own = {
            PREFECT_API_URL: api_url,
            PREFECT_API_AUTH_STRING: login(tmp_path),
            PREFECT_LOGGING_TO_API_ENABLED: False,
        }
        with temporary_settings(own):
            await goes_on()
        assert noted.states(alive) == {"Crashed"}
