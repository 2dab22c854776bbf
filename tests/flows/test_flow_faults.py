"""Faults of the wire under whole runs: they cost time, never a score."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.cli_runs import Command
from support.homes import report_of
from support.wire_faults import WireFault, WireFaults

from grindstone.errors import POLICIES, Cause
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import BatchRow, EvolutionRow
from grindstone.llm import CallRecord
from grindstone.records import Episode, Usage

pytestmark = [
    *(pytest.mark.server, pytest.mark.bubblewrap, pytest.mark.slow),
    pytest.mark.timeout(500),
    pytest.mark.usefixtures("command_environment"),
]

PATIENCE = {"pause_s": 0.01, "pause_cap_s": 0.05, "retry_after_cap_s": 0.05, "stall_s": 6}


def grind(home: Path, url: str, tasks: list[str], *more: str) -> Command:
    home.mkdir(parents=True, exist_ok=True)
    flags = ["--run-key", "K", "--model-id", "rehearsal", "--sandbox", "bubblewrap"]
    flags += [flag for task in tasks for flag in ("--task-ids", task)]
    environment = {
        "GRINDSTONE_REHEARSAL_URL": url,
        "GRINDSTONE_PATIENCE": json.dumps(PATIENCE),
    }
    return Command(
        ["grind", *flags, "--max-cycles", "2", "--work-dir", str(home), *more],
        environment,
        home / "log.txt",
    )


def scores(home: Path) -> list[Any]:
    rows = Ledger(home).rows(Episode, "K")
    seen = [(row.task_id, row.cycle, row.outcome, row.score, row.tests_passed) for row in rows]
    return sorted(seen, key=str)


@pytest.mark.catalogue(of="faults")
def test_faults_in_a_third_of_all_requests_change_no_score(tmp_path: Path, rehearsal_url: str):
    tasks = ["crlf-kit", "plain-inventory"]
    with WireFaults(rehearsal_url) as calm:
        command = grind(tmp_path / "calm", calm.url, tasks)
        assert command.wait() == 0, command.tail()
    with WireFaults(rehearsal_url, seed=3, rate=0.3) as storm:
        command = grind(tmp_path / "storm", storm.url, tasks)
        assert command.wait() == 0, command.tail()
    assert sum(storm.faults.values()) >= 5
    assert len(storm.faults) >= 3
    assert scores(tmp_path / "storm") == scores(tmp_path / "calm")
    assert not [row for row in Ledger(tmp_path / "storm").rows(Episode, "K") if row.error_cause]
    calls = Ledger(tmp_path / "storm").rows(CallRecord, "K")
    assert sum((call.usage for call in calls), start=Usage()) == storm.delivered_usage
    assert sum((call.usage + call.lost for call in calls), start=Usage()) == storm.told_usage
    assert sum(call.tries for call in calls) == len(storm.seen)


def test_infrastructure_is_tried_again_by_a_resumed_run_and_a_failure_is_not(
    tmp_path: Path, rehearsal_url: str
):
    tasks = ["crlf-kit", "deleted-branch"]  # in this order; both fail at first
    off = ["--task-skill-mode", "off", "--success-mode", "off"]
    about_the_first = b"/app/kit"
    with WireFaults(
        rehearsal_url,
        rate=1.0,
        faults=[WireFault.ERROR_EVENT],  # "overloaded", after tokens were told
        in_a_row=10**6,
        only=about_the_first,
    ) as proxy:
        command = grind(tmp_path, proxy.url, tasks, *off)
        assert command.wait() == 0, command.tail()
    # The client alone tried again; the attempt was made once.
    assert proxy.faults[WireFault.ERROR_EVENT] == POLICIES[Cause.OVERLOADED].tries
    ledger = Ledger(tmp_path)
    report = report_of(tmp_path, "K")
    told = proxy.told_usage
    calls = ledger.rows(CallRecord, "K")
    assert sum((call.usage + call.lost for call in calls), start=Usage()) == told
    [given_up] = [call for call in calls if not call.answered]
    assert (given_up.role.value, given_up.task_id) == ("solver", "crlf-kit")
    assert given_up.lost.total_tokens > 0
    assert report["total_tokens"] == told.total_tokens
    assert (report["n_tasks"], report["n_scored"], report["passed"]) == (2, 1, 1)
    assert [each["cause"] for each in report["errors"]] == ["overloaded"]
    before = {row.episode_id: row for row in ledger.rows(Episode, "K")}
    assert [row.unscored for row in sorted(ledger.rows(BatchRow, "K"), key=lambda r: r.batch)] == [
        ("crlf-kit",),
        (),
    ]

    with WireFaults(rehearsal_url) as proxy:
        command = grind(tmp_path, proxy.url, tasks, *off)
        assert command.wait() == 0, command.tail()
        again = len(proxy.seen)
        told = told + proxy.told_usage
        assert report_of(tmp_path, "K")["total_tokens"] == told.total_tokens
        command = grind(tmp_path, proxy.url, tasks, *off)
        assert command.wait() == 0, command.tail()
    assert len(proxy.seen) == again > 0  # a third time there is nothing left to do
    report = report_of(tmp_path, "K")
    assert (report["n_scored"], report["passed"]) == (2, 2)
    after = {row.episode_id: row for row in ledger.rows(Episode, "K")}
    finished = {key for key, row in before.items() if row.outcome.value != "error"}
    assert len(finished) == 2
    assert {key: after[key] for key in finished} == {key: before[key] for key in finished}
    assert [row.task_id for key, row in after.items() if key not in before] != []
    assert {row.task_id for key, row in after.items() if key not in before} == {"crlf-kit"}
    evolved = [row.batch for row in ledger.rows(EvolutionRow, "K") if row.evo_number]
    assert evolved == [2, 3]
