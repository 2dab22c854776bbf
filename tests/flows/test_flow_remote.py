"""A run whose home is in object storage, killed and gone on with by machines that never saw it."""

import threading
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from support.cli_runs import Command
from support.kills import kill_again_and_again, paid
from support.object_storage import Bucket, Spoiled, serving_s3, write_keys
from support.wire_faults import WireFaults

from grindstone.competency import TrainingJobs
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import GateDecisionRow
from grindstone.records import Episode, Outcome
from grindstone.runs.home_check import check_home

pytestmark = [
    *(pytest.mark.server, pytest.mark.bubblewrap, pytest.mark.slow),
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("command_environment"),
]

RUN = ["grind", "--run-key", "K", "--model-id", "rehearsal", "--sandbox", "bubblewrap"]
TASKS = ["--task-ids", "crlf-kit", "--task-ids", "plain-inventory", "--max-cycles", "2"]
KILLS = 3
LAPSE_S = 20.0
"""From the end of credentials until new ones are there."""


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with serving_s3(tmp_path_factory.mktemp("s3")) as bucket:
        yield bucket


BUILDS = ("crlf-kit", "visitor-report")
ONE_AFTER_THE_OTHER = {
    ("adapt",): ("--max-cycles", "1", "--holdout-ratio", "0"),
    ("gate", "run"): ("--candidate", "evo-1", "--baseline", "pre-evo-1", "--gate-trials", "1"),
    ("compete",): ("--agent-id", "new", "--min-episodes", "1", "--max-cycles", "1"),
}
"""Each on what the one before has left; killed twice, and gone on with by an empty machine."""


@pytest.mark.catalogue(of="kills of a run")
def test_other_flows_are_gone_on_with_by_empty_machines_too(
    tmp_path: Path, s3: Bucket, rehearsal_url: str, monkeypatch: pytest.MonkeyPatch
):
    machines = count()
    address = f"{s3.url}/others"
    answers = lost = 0
    for asked_for, words in ONE_AFTER_THE_OTHER.items():
        kind = asked_for[0]
        asked = [*asked_for, "--run-key", kind, "--work-dir", address, *RUN[3:], *words]
        asked += [word for name in BUILDS for word in ("--task-ids", name)]

        def start(home: Path, url: str, kind: str = kind, asked: list[str] = asked) -> Command:
            own = {
                "GRINDSTONE_CACHE_DIR": str(home / f"machine-{next(machines)}"),
                "GRINDSTONE_REHEARSAL_URL": url,
            }
            return Command(asked, own | s3.environment, home / f"{kind}.txt")

        done = kill_again_and_again(
            tmp_path, rehearsal_url, start, kills=2, calls=8, first_call_s=8.0, seed=kind
        )
        assert done.code == 0, done.command.tail()
        assert len(done.kills) == 2
        answers, lost = answers + paid(done.seen), lost + done.lost
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GRINDSTONE_CACHE_DIR", str(tmp_path / "reader"))
    home = Home.at(address)
    ledger = Ledger(home)
    [decision] = ledger.rows(GateDecisionRow, "gate")
    assert decision.n_pairs == len(BUILDS)
    [job] = TrainingJobs(home, "new").latest()
    assert job.status in ("done", "unproven", "unhelpful")
    found = check_home(home)
    assert not found.faults
    assert answers - found.calls <= lost, "the journals have all that was paid for"


@pytest.mark.catalogue(of="kills of a run")
def test_killed_it_is_gone_on_with_by_empty_machines_and_pays_for_nothing_twice(
    tmp_path: Path, s3: Bucket, rehearsal_url: str, monkeypatch: pytest.MonkeyPatch
):
    machines = count()
    address = f"{s3.url}/killed"
    with Spoiled(s3, rate=0.05, seed=7) as storage:

        def start(home: Path, url: str) -> Command:
            """Go on with the run on a machine that has nothing of it."""
            own = {
                "GRINDSTONE_CACHE_DIR": str(home / f"machine-{next(machines)}"),
                "GRINDSTONE_REHEARSAL_URL": url,
            }
            words = [*RUN, *TASKS, "--work-dir", address]
            return Command(words, own | storage.bucket.environment, home / "log.txt")

        done = kill_again_and_again(
            tmp_path, rehearsal_url, start, kills=KILLS, calls=16, first_call_s=8.0, seed="remote"
        )
        assert done.code == 0, done.command.tail()
        assert len(done.kills) == KILLS
        assert storage.spoiled > 10
    asked = Counter(seen.digest for seen in done.seen)
    assert paid(done.seen) - len(asked) <= done.lost, "a call in flight is all that a kill costs"
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GRINDSTONE_CACHE_DIR", str(tmp_path / "reader"))
    home = Home.at(address)
    rows = Ledger(home).rows(Episode, "K")
    assert len({row.episode_id for row in rows}) == len(rows) >= 3
    assert not [row for row in rows if row.outcome is Outcome.ERROR]
    assert home.mirror is not None
    left = [entry.name for entry in home.mirror.store.listed("runs/K")]
    assert "runs/K/report.md" in left
    assert not [name for name in left if name.startswith(("runs/K/attempts", "runs/K/slices"))]
    found = check_home(home)
    assert not found.faults
    assert found.calls == len(asked)


def test_credentials_that_expire_on_the_way_and_are_renewed_cost_a_run_nothing(
    tmp_path: Path, s3: Bucket, rehearsal_url: str, monkeypatch: pytest.MonkeyPatch
):
    address, file = f"{s3.url}/lapsed", tmp_path / "credentials"
    with Spoiled(s3, rate=0, seed=7) as storage:
        renewing = threading.Timer(LAPSE_S, write_keys, (file, "NEW"))

        def expire(count: int) -> None:
            if count == 3:
                storage.expired = ("OLD", 403)
                renewing.start()

        write_keys(file, "OLD")
        own = storage.bucket.environment | {
            "AWS_ACCESS_KEY_ID": "",
            "AWS_SECRET_ACCESS_KEY": "",
            "AWS_SHARED_CREDENTIALS_FILE": str(file),
            "AWS_PROFILE": "fleet",
            "GRINDSTONE_CACHE_DIR": str(tmp_path / "machine"),
        }
        with WireFaults(rehearsal_url, after_answer=expire) as model:
            words = [*RUN, *TASKS, "--work-dir", address]
            environment = own | {"GRINDSTONE_REHEARSAL_URL": model.url}
            command = Command(words, environment, tmp_path / "log.txt")
            assert command.wait() == 0, command.tail()
        assert storage.expired is not None
        renewing.join()
    assert "expired" not in command.log.read_text()
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GRINDSTONE_CACHE_DIR", str(tmp_path / "reader"))
    rows = Ledger(Home.at(address)).rows(Episode, "K")
    assert len(rows) >= 3
    assert not [row for row in rows if row.outcome is Outcome.ERROR]
