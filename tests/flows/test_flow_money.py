"""A ceiling on spend ends a run in order, and what is booked is what the server saw."""

from pathlib import Path

import pytest
from support.cli_runs import Command
from support.homes import report_of
from support.wire_faults import WireFaults

from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import RunRow
from grindstone.llm import CallRecord
from grindstone.records import Episode, Usage

pytestmark = [
    pytest.mark.catalogue(of="agreed spending"),
    *(pytest.mark.server, pytest.mark.bubblewrap, pytest.mark.slow),
    pytest.mark.timeout(400),
    pytest.mark.usefixtures("command_environment"),
]

TASK = "crlf-kit"
PRICED_AS = "claude-haiku-4-5"


def grind(home: Path, url: str, *more: str) -> Command:
    flags = ["--run-key", "K", "--model-id", "rehearsal", "--sandbox", "bubblewrap"]
    flags += ["--task-ids", TASK, "--max-cycles", "2", "--rehearsal-price-as", PRICED_AS]
    environment = {"GRINDSTONE_REHEARSAL_URL": url}
    return Command(["grind", *flags, "--work-dir", str(home), *more], environment, home / "log.txt")


def test_one_cent_ends_in_order_and_ten_dollars_go_on(tmp_path: Path, rehearsal_url: str):
    with WireFaults(rehearsal_url) as proxy:
        first = grind(tmp_path, proxy.url, "--max-cost-usd", "0.01")
        assert first.wait() == 1, first.tail()
        stopped = report_of(tmp_path, "K")
        assert stopped["status"] == "stopped"
        assert 0 < stopped["cost_usd"] <= 0.01
        assert "Stopped: max_cost_usd" in first.tail()
        asked = len(proxy.seen)

        second = grind(tmp_path, proxy.url, "--max-cost-usd", "10")
        assert second.wait() == 0, second.tail()
    assert asked < len(proxy.seen)
    assert max(proxy.delivered.values()) == 1  # nothing was paid for twice

    report = report_of(tmp_path, "K")
    assert report["status"] == "completed"
    assert report["passed"] == 1
    ledger = Ledger(tmp_path)
    states = sorted(ledger.rows(RunRow, "K"), key=lambda row: row.sequence)
    assert [row.status for row in states] == ["running", "stopped", "running", "completed"]
    assert "max_cost_usd" in states[1].note

    calls = ledger.rows(CallRecord, "K")
    assert len(calls) == len(proxy.seen)
    assert sum((call.usage for call in calls), start=Usage()) == proxy.forwarded_usage
    assert report["total_tokens"] == proxy.forwarded_usage.total_tokens
    costs = [call.cost_usd for call in calls if call.cost_usd is not None]
    assert len(costs) == len(calls)
    assert report["cost_usd"] == pytest.approx(sum(costs))
    assert {call.role.value for call in calls} == {"solver", "evolver", "task_skill"}
    episodes = {row.episode_id for row in ledger.rows(Episode, "K")}
    for call in calls:
        assert call.run_key == "K"
        assert PRICED_AS in call.price_source
        assert call.role.value == "evolver" or call.task_id == TASK
        assert (call.role.value == "solver") == (call.scope in episodes)
    by_role = {line["role"]: line["cost_usd"] for line in report["costs"]}
    for role, cost in by_role.items():
        assert cost == pytest.approx(sum(c.cost_usd or 0 for c in calls if c.role.value == role))


def test_a_ceiling_in_tokens_holds_too(tmp_path: Path, rehearsal_url: str):
    with WireFaults(rehearsal_url) as proxy:
        command = grind(tmp_path, proxy.url, "--max-tokens-total", "12000")
        assert command.wait() == 1, command.tail()
    assert 0 < proxy.forwarded_usage.total_tokens <= 12_000
    assert report_of(tmp_path, "K")["total_tokens"] == proxy.forwarded_usage.total_tokens
