"""A run that is told otherwise while it goes on: paused, given more or less, called off."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from prefect import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
from prefect.client.schemas.objects import FlowRun
from starlette.responses import Response
from support.attempt_specs import spec_of
from support.cli_runs import Command
from support.wiretap import Wiretap, role_of

from grindstone.errors import CalledOffError, InputError
from grindstone.flows.dispatch.attempt_slice import AttemptSlice
from grindstone.flows.grind import grind
from grindstone.flows.slices import attempt_slice
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import RunRow
from grindstone.records import Episode, Outcome
from grindstone.report.run_list import list_runs
from grindstone.runs.allowance import Allowance
from grindstone.runs.orders import note_changed_settings, order_run
from grindstone.runs.plan import open_workspace, plan_run
from grindstone.runs.progress import Note, watching
from grindstone.runs.row import begin_run
from grindstone.settings import GrindSettings
from grindstone.steering import Order, give_order, steer_of

pytestmark = [
    pytest.mark.catalogue(of="orders to a run"),
    pytest.mark.server,
    pytest.mark.bubblewrap,
    pytest.mark.timeout(300),
]

TASKS = ["crlf-kit", "branch-sales", "errors-by-hour"]


class Steered(NamedTuple):
    """A run in this process, and who gives it orders."""

    home: Path
    work: "asyncio.Task[Any]"
    notes: list[str]

    def order(self, **asked: Any) -> None:
        order = Order.model_validate(asked)
        order_run(Ledger(self.home), "K", order, by="ann@desk", via="cli")

    def episodes(self) -> list[Episode]:
        return Ledger(self.home).rows(Episode, "K")

    @property
    def status(self) -> str:
        return list_runs(Ledger(self.home))[0].status

    async def until(self, holds: Callable[[], bool], end_s: float = 60) -> None:
        deadline = time.monotonic() + end_s
        while not holds():
            if self.work.done():
                self.work.result()
            assert not self.work.done() and time.monotonic() < deadline
            await asyncio.sleep(0.05)


def start(home: Path, tasks: list[str] = TASKS, **more: Any) -> Steered:
    settings = GrindSettings(
        **{"work_dir": home, "run_key": "K", "task_ids": tasks, "sandbox": "bubblewrap"}
        | {"batch_size": len(tasks), "max_cycles": 1, "evolve_skills": False}
        | {"success_mode": "off", "task_skill_mode": "off", "model_id": "rehearsal"}
        | more
    )
    notes: list[str] = []

    async def work() -> Any:
        with watching(lambda event: notes.append(event.text) if isinstance(event, Note) else None):
            return await grind(settings)

    return Steered(home, asyncio.create_task(work()), notes)


async def flow_run(tag: str = "run:K") -> FlowRun:
    async with get_client() as client:
        tagged = FlowRunFilter(tags=FlowRunFilterTags(all_=[tag]))
        found = await client.read_flow_runs(flow_run_filter=tagged)
    grinds = [run for run in found if run.parent_task_run_id is None]
    return max(grinds, key=lambda run: run.created or run.expected_start_time)


@pytest.fixture
async def tap(prefect_server: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Wiretap]:
    from support.wiretap import tapped

    async with tapped() as tap:
        monkeypatch.setenv("GRINDSTONE_REHEARSAL_URL", tap.url)
        yield tap


def solver_calls(tap: Wiretap) -> int:
    return sum(role_of(body) == "solver" for body in tap.bodies)


async def test_a_paused_run_begins_nothing_and_says_so(tmp_path: Path, tap: Wiretap):
    run = start(tmp_path)
    await run.until(lambda: solver_calls(tap) > 0)
    run.order(paused=True)
    await run.until(lambda: len(run.episodes()) == 1)
    await asyncio.sleep(3)
    assert len(run.episodes()) == 1, "the attempt in progress ends, no other begins"
    assert run.status == "paused"
    assert (await flow_run()).state_name == "Paused"
    calls = len(tap.bodies)
    run.order(paused=False, max_workers=2)
    finished = await run.work
    assert len(tap.bodies) > calls
    assert len(run.episodes()) == 3
    assert run.status == "completed"
    assert (await flow_run()).state_name == "Completed"
    told = [", ".join(order.words) for order in finished.report.orders]
    assert told == ["pause", "go on, max_workers 2"]
    assert "Order 2 by ann@desk (cli): go on, max_workers 2" in run.notes
    assert "| ann@desk | cli | pause |" in (finished.folder / "report.md").read_text()
    with pytest.raises(InputError, match="K: is completed"):
        run.order(paused=True)
    rows = sorted(run.episodes(), key=lambda row: row.started_at)
    assert rows[2].started_at < rows[1].ended_at, "two places from then on"


async def test_a_lowered_ceiling_stops_the_next_call(tmp_path: Path, tap: Wiretap):
    run = start(tmp_path)

    def lower(body: Any) -> Response | None:
        if solver_calls(tap) == 2:
            run.order(max_tokens_total=10)
        return None

    tap.instead = lower
    finished = await run.work
    assert finished.report.status == "stopped"
    assert solver_calls(tap) == 2, "the call in flight is paid, no other is made"
    assert "max_tokens_total" in Ledger(tmp_path).rows(RunRow, "K")[-1].note


async def test_a_raised_ceiling_lets_it_go_on_while_it_lives(tmp_path: Path, tap: Wiretap):
    run = start(tmp_path, TASKS[:2], max_workers=2)  # without one at first: none is higher
    reached = asyncio.Event()

    def squeeze(body: Any) -> Response | None:
        if not reached.is_set() and solver_calls(tap) == 3:
            reached.set()
            run.order(max_tokens_total=10)
        return None

    tap.instead = squeeze
    await reached.wait()
    run.order(paused=True)  # holds the run: an attempt that waits for its place is under way
    run.order(max_tokens_total=2_000_000)
    run.order(paused=False)
    finished = await run.work
    assert finished.report.status == "completed"
    assert {row.outcome for row in run.episodes()} <= {Outcome.PASSED, Outcome.FAILED}
    assert len(run.episodes()) == 2


async def test_a_run_that_is_called_off_is_cancelled_and_goes_on_by_its_key(
    tmp_path: Path, tap: Wiretap
):
    run = start(tmp_path)
    await run.until(lambda: len(run.episodes()) == 1)
    run.order(cancel=True)
    with pytest.raises(CalledOffError, match="order 1"):
        await run.work
    assert run.status == "interrupted"
    assert len(run.episodes()) < 3
    assert (await flow_run()).state_name == "Cancelled"
    again = start(tmp_path)
    assert (await again.work).report.status == "completed"
    assert len(again.episodes()) == 3


@pytest.mark.catalogue
@pytest.mark.parametrize("batch_size", [3, 1], ids=["at-once", "after-the-last-batch"])
async def test_what_errored_is_tried_again_on_order(tmp_path: Path, tap: Wiretap, batch_size: int):
    def refuse_once(body: Any) -> Response | None:
        if len(tap.bodies) == 1:
            return Response('{"type": "error", "error": {}}', 400, media_type="application/json")
        return None

    tap.instead = refuse_once
    run = start(tmp_path, max_workers=1, batch_size=batch_size)
    errors = lambda: [row for row in run.episodes() if row.outcome is Outcome.ERROR]  # noqa: E731
    await run.until(lambda: bool(errors()))
    run.order(retry_errors=True)
    finished = await run.work
    assert not [row for row in run.episodes() if row.outcome is Outcome.ERROR]
    assert len(run.episodes()) == 3 and not finished.report.errors


async def test_a_slice_on_a_worker_reads_the_orders_of_its_run(tmp_path: Path, prefect_server: str):
    settings = GrindSettings(work_dir=tmp_path, native_profile="oracle", run_key="K")
    specs = [spec_of(settings, trial=trial) for trial in range(2)]
    folder, ledger = settings.home.run("K"), Ledger(tmp_path)
    give_order(folder, Order(paused=True), by="ann@desk", via="cli")
    work = asyncio.create_task(attempt_slice(AttemptSlice(attempts=specs, allowance=Allowance())))
    await asyncio.sleep(6)
    assert not work.done() and not ledger.rows(Episode, "K")
    give_order(folder, Order(paused=False, max_workers=2), by="ann@desk", via="cli")
    await work
    one, two = ledger.rows(Episode, "K")
    assert max(one.started_at, two.started_at) < min(one.ended_at, two.ended_at)


def test_a_run_that_sends_no_slices_takes_no_order_about_them(tmp_path: Path):
    settings = GrindSettings(work_dir=tmp_path, run_key="K")
    row = {"model": "m", "profile": "p", "sandbox": "s", "rehearsal": True}
    ledger, planned = Ledger(tmp_path), plan_run("grind", settings, open_workspace(settings))
    begin_run(ledger, planned, settings, **row)
    told = "max_slices: is about slices, and K makes its attempts itself"
    with pytest.raises(InputError, match=told):
        order_run(ledger, "K", Order(max_slices=2), by="ann@desk", via="cli")
    assert steer_of(settings.home.run("K")).last == 0


def test_what_a_resumed_run_is_given_is_the_later_word(tmp_path: Path):
    settings = GrindSettings(work_dir=tmp_path, run_key="K", max_workers=2, max_cost_usd=5)
    workspace, ledger = open_workspace(settings), Ledger(tmp_path)
    row = {"model": "m", "profile": "p", "sandbox": "s", "rehearsal": True}
    begin_run(ledger, plan_run("grind", settings, workspace), settings, **row)
    folder = settings.home.run("K")
    order = Order(max_workers=8, max_cost_usd=50)
    give_order(folder, order, by="ann@desk", via="cli")

    note_changed_settings(ledger, plan_run("grind", settings, workspace), settings)
    assert steer_of(folder).last == 1, "the same flags say nothing new"
    other = settings.model_copy(update={"max_cost_usd": None, "max_workers": 3})
    note_changed_settings(ledger, plan_run("grind", other, workspace), other)
    now = steer_of(folder)
    assert (now.last, now.max_workers, now.max_cost_usd) == (2, 3, math.inf)


@pytest.mark.catalogue(of="kills of a run")
def test_a_run_killed_while_paused_stays_paused_and_can_be_resumed(
    tmp_path: Path, rehearsal_url: str, command_environment: None
):
    arguments = ["grind", "--run-key", "K", "--model-id", "rehearsal", "--sandbox", "bubblewrap"]
    arguments += ["--task-ids", "crlf-kit", "--task-ids", "branch-sales", "--batch-size", "2"]
    arguments += ["--max-cycles", "1", "--evolve-skills", "false", "--success-mode", "off"]
    arguments += ["--task-skill-mode", "off", "--work-dir", str(tmp_path)]
    environment = {"GRINDSTONE_REHEARSAL_URL": rehearsal_url}
    ledger = Ledger(tmp_path)

    def steer(*words: str) -> None:
        log = tmp_path / "steer.txt"
        command = Command(["steer", "K", *words, "--work-dir", str(tmp_path)], {}, log)
        assert command.wait() == 0, command.tail()

    first = Command(arguments, environment, tmp_path / "first.txt")
    assert first.wait(lambda: any((tmp_path / "runs").glob("*/attempts/*.commands"))) is None
    steer("--pause")
    assert first.wait(lambda: len(ledger.rows(Episode, "K")) == 1) is None
    first.kill()
    first.wait()
    assert list_runs(ledger)[0].status == "broken off"

    second = Command(arguments, environment, tmp_path / "second.txt")
    assert second.wait(lambda: list_runs(ledger)[0].status == "paused") is None
    end = time.monotonic() + 5
    assert second.wait(lambda: time.monotonic() > end) is None
    assert len(ledger.rows(Episode, "K")) == 1
    assert "paused" in second.tail()
    steer("--resume", "--max-tokens-total", "0")
    assert steer_of(Home.at(tmp_path).run("K")).max_tokens_total == 0
    assert second.wait() == 0, second.tail()
    assert len(ledger.rows(Episode, "K")) == 2
