"""A run whose lock another process has taken leaves to that one what is the run's."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cli_runs import Command
from support.object_storage import Bucket, serving_s3
from support.steady_model import SteadyModel

from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import RunRow
from grindstone.remote.shared_record import SharedRecord
from grindstone.runs.account import Account, Amount, Share
from grindstone.runs.remote_lock import Holding

pytestmark = [
    *(pytest.mark.server, pytest.mark.bubblewrap, pytest.mark.slow),
    pytest.mark.timeout(180),
    pytest.mark.usefixtures("command_environment"),
]

OTHER = "f" * 32


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[Bucket]:
    with serving_s3(tmp_path) as bucket:
        yield bucket


def test_it_says_nothing_of_a_run_that_another_one_drives(
    tmp_path: Path, s3: Bucket, monkeypatch: pytest.MonkeyPatch
):
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GRINDSTONE_CACHE_DIR", str(tmp_path / "reader"))
    home = Home.at(f"{s3.url}/displaced")
    assert home.mirror is not None
    store, run = home.mirror.store, home.run("K")
    held_by_others = Account(shares={OTHER: Share(granted=Amount(tokens=7), host="elsewhere/1")})
    SharedRecord(run.account, Account).change(lambda _: held_by_others)
    with SteadyModel("127.0.0.1", answer_s=120, command="true") as model:
        words = ["grind", "--run-key", "K", "--model-id", "rehearsal", "--sandbox", "bubblewrap"]
        words += [
            "--task-ids",
            "crlf-kit",
            "--max-cycles",
            "1",
            "--work-dir",
            f"{s3.url}/displaced",
        ]
        own = {"GRINDSTONE_CACHE_DIR": str(tmp_path / "one"), "GRINDSTONE_REHEARSAL_URL": model.url}
        command = Command(words, own, tmp_path / "log.txt")
        assert command.wait(lambda: model.asked > 0) is None, command.tail()
        taken = Holding(number=1, holder="another", host="elsewhere/1", pid=1)
        store.delete("runs/K/lock")  # by a person; and another process was faster
        assert store.put_new("runs/K/lock", taken.model_dump_json().encode())
        began = time.monotonic()
        assert command.wait() == 3, command.tail()
    assert "its lock is lost: runs/K/lock: another machine, elsewhere/1, has taken it" in (
        " ".join(command.tail().split())
    )
    assert time.monotonic() - began < 60
    assert [row.status for row in Ledger(home).rows(RunRow, "K")] == ["running"]
    assert not store.has("runs/K/report.md")
    account = SharedRecord(run.account, Account).read()
    assert account is not None
    assert account.shares.keys() == {OTHER}
    assert store.get("runs/K/lock") == taken.model_dump_json().encode()
