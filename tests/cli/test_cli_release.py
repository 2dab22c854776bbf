"""`grindstone release` says no before it spends anything, where it could not say yes."""

import json

import pytest

from grindstone.ledger import Ledger
from grindstone.ledger.tables.releases import ExposureRow
from grindstone.records import Episode, Purpose

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]


def test_what_has_taught_is_released_by_nobody(real_run, prefect_server):
    asked = ("release", "--task-ids", "branch-sales,plain-inventory", "--model-id", "rehearsal")
    done = real_run(*asked, PREFECT_API_URL=prefect_server)
    assert done.code == 2, done.err
    assert "all 2, or copies of them, have taught" in done.err


def test_too_few_sealed_tasks_are_refused_with_what_is_needed(real_run, prefect_server):
    asked = ("release", "--task-ids", "crlf-kit", "--model-id", "rehearsal", "--json")
    done = real_run(*asked, PREFECT_API_URL=prefect_server)
    assert done.code == 1, done.err
    assert json.loads(done.out)["error"]["kind"] == "refused"
    assert "no result of 1 cluster of sealed tasks could convince" in done.err
    assert "that takes 6" in done.err
    ledger = Ledger(real_run.folder / "home")
    assert not ledger.rows(ExposureRow), "a refusal spends nothing"
    assert not [row for row in ledger.rows(Episode) if row.purpose is Purpose.RELEASE]


def test_an_agent_that_is_not_there_is_wrong_input(real_run):
    done = real_run("release", "--agent-id", "nobody", "--model-id", "rehearsal")
    assert done.code == 2
    assert "'nobody' is no agent of" in done.err
