"""A run whose attempts are made on a work pool is steered, or cancelled, while it goes on."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.sandboxes import sandboxes_of
from support.steady_model import SteadyModel

from grindstone.ledger import Ledger
from grindstone.llm import CallRecord
from grindstone.records import Episode
from grindstone.runs.orders import order_run
from grindstone.steering import Order

pytestmark = [
    pytest.mark.server,
    pytest.mark.bubblewrap,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

CANCELLED_S = 60.0
QUIET_S = 4.0
TASKS = ["crlf-kit", "branch-sales", "errors-by-hour", "plain-inventory", "rotated-error-rate"]
TASKS += ["supplier-prices"]
SETTINGS = {
    "max_cycles": 1,
    "evolve_skills": False,
    "task_skill_mode": "off",
    "success_mode": "off",
    "sandbox": "bubblewrap",
    "dispatch": "deployment",
    "task_ids": TASKS,
    "batch_size": len(TASKS),
    "max_workers": 1,
    "max_slices": 2,
    "native_profile": "strands",
    "agent_id": "steered",
}


@pytest.fixture(scope="module")
def model(up: Any) -> Iterator[SteadyModel]:
    """A model that takes its time, under the name of a saved block."""
    with SteadyModel("127.0.0.1", answer_s=2.0, command="true") as steady:
        data = {"model_id": "claude-sonnet-4-5", "api_key": "any", "base_url": steady.url}
        up.save_block("grindstone-model", "steady", data)
        yield steady


def start(up: Any, key: str) -> str:
    settings = SETTINGS | {"work_dir": str(up.home), "run_key": key}
    return str(up.start("grind", {"settings": settings, "blocks": {"model": "steady"}}))


def until(what: Callable[[], Any], patience_s: float = 200.0) -> float:
    """Wait; return the seconds it took."""
    begun = time.monotonic()
    while not what():
        assert time.monotonic() - begun < patience_s
        time.sleep(0.1)
    return time.monotonic() - begun


def settle(model: SteadyModel) -> int:
    """Wait until the model was not asked for a while; return how often it was before."""
    asked, since = model.asked, time.monotonic()
    while time.monotonic() - since < QUIET_S:
        if model.in_flight or model.asked != asked:
            asked, since = model.asked, time.monotonic()
        time.sleep(0.1)
    return asked


def slices(up: Any, key: str) -> list[dict[str, Any]]:
    sent = {"flow_runs": {"tags": {"all_": [f"run:{key}"]}}}
    found = up.post("/flow_runs/filter", sent)
    return [run for run in found if run["deployment_id"] == up.deployment("slice")["id"]]


def steps_of(up: Any, runs: list[str]) -> set[str]:
    """The states of the task runs of some flow runs."""
    of_runs = {"flow_runs": {"id": {"any_": runs}}}
    return {step["state_type"] for step in up.post("/task_runs/filter", of_runs)}


@pytest.mark.catalogue(of="orders to a run")
@pytest.mark.parametrize(
    ("ceiling", "low", "high"), [("max_tokens_total", 100, 10**6), ("max_cost_usd", 0.0001, 10.0)]
)
def test_orders_reach_slices_that_are_at_work(
    up: Any, model: SteadyModel, ceiling: str, low: float, high: float
):
    key = f"steered-{ceiling}"
    model.forget()
    run_id, ledger = start(up, key), Ledger(up.home)

    def order(**asked: Any) -> float:
        order_run(ledger, key, Order.model_validate(asked), by="ann@desk", via="cli")
        return time.monotonic()

    until(lambda: model.in_flight == 2)  # one in each slice
    order(paused=True)
    settle(model)
    until(lambda: 2 * len(ledger.rows(Episode, key)) == model.asked)  # what was begun ends
    assert model.asked < 2 * len(TASKS), "nothing else begins"
    shown = [up.get(f"/flow_runs/{run_id}"), *slices(up, key)]
    assert [run["state_name"] for run in shown] == ["Paused"] * 3

    order(paused=False, max_workers=2)
    until(lambda: model.in_flight > 2, 30)
    lowered = order(paused=True, **{ceiling: low})
    assert settle(model) < 2 * len(TASKS)
    assert not model.asked_after(lowered + 1), "calls in flight are paid, no other is made"

    order(paused=False, **{ceiling: high})  # less than at first, when there was none
    assert up.finished(run_id)["state_type"] == "COMPLETED", up.logs(run_id)
    assert sorted(row.task_id for row in ledger.rows(Episode, key)) == sorted(TASKS)
    assert model.asked == model.questions == 2 * len(TASKS), "none is paid for twice"
    assert len(ledger.rows(CallRecord, key)) == model.asked


def test_what_is_cancelled_in_the_ui_ends_within_a_minute(up: Any, model: SteadyModel):
    run_id = start(up, "cancelled")
    until(lambda: model.in_flight == 2)
    sent = slices(up, "cancelled")
    engines = [up.engine_of(run["id"]) for run in sent]
    assert len({*engines, up.engine_of(run_id)}) == 3, "processes of their own"
    attempts = [run["id"] for each in sent for run in up.subflows(each["id"])]
    assert attempts and sandboxes_of(engines)
    cancelling = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
    up.post(f"/flow_runs/{run_id}/set_state", cancelling)
    every = [run_id, *(run["id"] for run in sent), *attempts]

    def ended() -> bool:
        states = {up.get(f"/flow_runs/{each}")["state_type"] for each in every}
        return states == {"CANCELLED"} and not sandboxes_of(engines)

    until(ended, CANCELLED_S)
    until(lambda: steps_of(up, every) <= {"CANCELLED", "COMPLETED"}, CANCELLED_S)
    asked = model.asked
    assert settle(model) == asked, "no attempt goes on"
    kept = up.post("/artifacts/filter", {"flow_runs": {"id": {"any_": [run_id]}}})
    assert "report-steered" in {item["key"] for item in kept}, "what was done is told"
    assert "interrupted" in (up.home / "runs" / "cancelled" / "report.md").read_text()
