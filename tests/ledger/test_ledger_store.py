import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import polars as pl
import pytest

from grindstone.errors import Cause, InfrastructureError
from grindstone.ledger.compaction import compact, merge_ended
from grindstone.ledger.recall import ScoredEpisodes
from grindstone.ledger.row import LedgerError, Row
from grindstone.ledger.store import Ledger
from grindstone.ledger.tables import TABLES
from grindstone.ledger.tables.attempts import SkillUseRow
from grindstone.ledger.tables.runs import Refusal
from grindstone.records import (
    Episode,
    Outcome,
    Purpose,
    Usage,
)

T = datetime(2026, 1, 1, tzinfo=UTC)


def episode(number: object = 0, **changes: object) -> Episode:
    values: dict[str, object] = {
        "episode_id": f"e{number}",
        "run_key": "r",
        "agent_id": "a",
        "purpose": Purpose.GRIND,
        "task_id": "t",
        "outcome": Outcome.PASSED,
        "started_at": T,
        "ended_at": T + timedelta(seconds=90),
    }
    return Episode.model_validate({**values, **changes})


def parts(ledger: Ledger, table: str = "episodes") -> list[Path]:
    return sorted(ledger.root.glob(f"{table}/run=*/*"))


def test_the_same_rows_again_change_nothing(ledger: Ledger) -> None:
    rows = [episode(n) for n in range(3)]
    path = ledger.append(rows, run_key="r")
    assert path is not None
    before = (path.stat().st_mtime_ns, path.read_bytes())
    later = [row.model_copy(update={"cost_usd": 1.0}) for row in reversed(rows)]
    assert ledger.append(later, run_key="r") == path
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before
    assert parts(ledger) == [path]
    assert ledger.append([], run_key="r") is None


def test_the_same_key_in_two_parts_counts_once_and_the_older_wins(ledger: Ledger) -> None:
    first = ledger.append([episode(0, turns=1), episode(1)], run_key="r")
    second = ledger.append([episode(0, turns=2), episode(2)], run_key="r")
    assert first is not None
    assert second is not None
    os.utime(second, ns=(first.stat().st_mtime_ns + 10,) * 2)
    found = {row.episode_id: row.turns for row in ledger.rows(Episode, "r")}
    assert found == {"e0": 1, "e1": 0, "e2": 0}
    assert ledger.scan("episodes").select(pl.len()).collect().item() == 3
    os.utime(second, ns=(first.stat().st_mtime_ns - 10,) * 2)
    assert {row.episode_id: row.turns for row in ledger.rows(Episode, "r")}["e0"] == 2


def test_a_score_replaces_an_infrastructure_error_in_any_order(ledger: Ledger) -> None:
    spoiled = episode(0, outcome=Outcome.ERROR, error_cause="container_lost")
    for run, order in (("a", (spoiled, episode(0))), ("b", (episode(0), spoiled))):
        for row in order:
            ledger.append([row.model_copy(update={"run_key": run})], run_key=run)
        assert [row.outcome for row in ledger.rows(Episode, run)] == [Outcome.PASSED]
    ledger.append([spoiled, episode(0)], run_key="r")
    assert [row.outcome for row in ledger.rows(Episode, "r")] == [Outcome.PASSED]


def test_an_empty_ledger_has_its_columns(ledger: Ledger) -> None:
    assert ledger.runs() == ()
    for name, table in TABLES.items():
        assert ledger.scan(name).collect().schema == table.schema()
    assert ledger.rows(Episode) == []
    assert compact(ledger, "r") == ()


def test_runs_are_kept_apart(ledger: Ledger) -> None:
    for run in ("r", "über/../x", "z"):
        ledger.append([episode(0, run_key=run)], run_key=run)
        ledger.append([SkillUseRow(episode_id="e0", skill="s")], run_key=run)
    assert ledger.runs() == ("r", "z", "über/../x")
    assert ledger.scan("episodes").collect().height == 3
    assert ledger.scan("skill_uses", "z").collect()["run_key"].to_list() == ["z"]
    assert len(ledger.rows(SkillUseRow)) == 3
    assert all(ledger.root in path.resolve().parents for path in parts(ledger))


def test_what_does_not_belong_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="appended to run 'other'"):
        ledger.append([episode()], run_key="other")
    with pytest.raises(LedgerError, match="holds SkillUseRow beside Episode"):
        ledger.append([episode(), SkillUseRow(episode_id="e", skill="s")], run_key="r")
    with pytest.raises(LedgerError, match="no such table; expected one of runs, episodes"):
        ledger.scan("nonsense")
    with pytest.raises(LedgerError, match="Usage: is no row class"):
        ledger.append([Usage()], run_key="r")
    with pytest.raises(LedgerError, match="names no folder"):
        ledger.append([episode(run_key="..")], run_key="..")


@pytest.mark.parametrize("damage", ["empty", "cut", "head", "other"])
def test_a_damaged_part_is_named(ledger: Ledger, damage: str) -> None:
    ledger.append([episode(0)], run_key="r")
    path = ledger.append([episode(n) for n in range(50)], run_key="r")
    assert path is not None
    whole = path.read_bytes()
    path.write_bytes(
        {"empty": b"", "cut": whole[: len(whole) // 2], "head": whole[10:], "other": b"x" * 99}[
            damage
        ]
    )
    with pytest.raises(LedgerError, match=path.name):
        ledger.scan("episodes")
    with pytest.raises(LedgerError, match=path.name):
        compact(ledger, "r", min_parts=2)


def test_a_part_damaged_inside_is_an_error_too(ledger: Ledger) -> None:
    path = ledger.append([episode(n) for n in range(50)], run_key="r")
    assert path is not None
    data = bytearray(path.read_bytes())
    data[4 : len(data) // 2] = os.urandom(len(data) // 2 - 4)
    path.write_bytes(bytes(data))
    with pytest.raises(LedgerError, match="episodes"):
        ledger.rows(Episode)


def test_leftovers_and_strangers_are_passed_over(ledger: Ledger) -> None:
    path = ledger.append([episode(0)], run_key="r")
    assert path is not None
    (path.parent / f".{path.name}.abc123").write_bytes(b"half")
    (path.parent / "notes.txt").write_text("mine")
    pl.DataFrame({"x": [1]}).write_parquet(path.parent / "analysis.parquet")
    (ledger.root / "README").write_text("mine")
    assert len(ledger.rows(Episode)) == 1


def test_a_disk_that_refuses_is_infrastructure(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_text("a file in the folder's place")
    with pytest.raises(InfrastructureError) as caught:
        Ledger(tmp_path).append([episode()], run_key="r")
    assert caught.value.cause is Cause.LEDGER_IO


class OldThing(Row):
    """A row as an older release knew it."""

    table: ClassVar[str] = "things"
    key: ClassVar[tuple[str, ...]] = ("name",)
    name: str
    gone: str = ""
    inner: tuple[Refusal, ...] = ()


class NewRefusal(Refusal):
    line: int | None = None


class NewThing(Row):
    """The same as a newer release knows it."""

    table: ClassVar[str] = "things"
    key: ClassVar[tuple[str, ...]] = ("name",)
    name: str
    inner: tuple[NewRefusal, ...] = ()
    size: int = 7
    note: str | None = None
    usage: Usage | None = None
    total: Usage = Usage()


def test_columns_may_come_and_go(ledger: Ledger) -> None:
    old = OldThing(name="a", gone="x", inner=(Refusal(path="p", rule="r"),))
    ledger.append([old], run_key="r")
    new = NewThing(name="b", size=1, usage=Usage(input_tokens=3))
    ledger.append([new], run_key="r")
    frame = ledger.scan(NewThing, "r").sort("name").collect()
    assert frame["size"].to_list() == [None, 1]
    assert "gone" not in frame.columns
    found = {row.name: row for row in ledger.rows(NewThing)}
    assert found["b"] == new
    assert found["a"] == NewThing(name="a", inner=(NewRefusal(path="p", rule="r"),))
    assert {row.name for row in ledger.rows(OldThing)} == {"a", "b"}


def test_who_looks_again_and_again_reads_a_part_once(ledger: Ledger) -> None:
    scored = ScoredEpisodes(ledger, "r")
    assert scored.now() == {}
    ledger.append([episode(1), episode(2, outcome=Outcome.ERROR)], run_key="r")
    assert set(scored.now()) == {"e1"}
    [read] = parts(ledger)
    read.write_bytes(b"no part any more")
    ledger.append([episode(2)], run_key="r")
    assert set(scored.now()) == {"e1", "e2"}
    with pytest.raises(LedgerError, match="damaged"):
        ScoredEpisodes(ledger, "r").now()


def test_compaction_keeps_every_row_once(ledger: Ledger) -> None:
    for n in range(12):
        ledger.append([episode(n), episode(n + 1, turns=n)], run_key="r")
    before = ledger.rows(Episode)
    planned = ledger.scan("episodes")
    (merged,) = compact(ledger, "r", min_parts=2)
    assert sorted(ledger.rows(Episode), key=repr) == sorted(before, key=repr)
    assert [part.path for part in ledger.live_parts("episodes", "r")] == [merged]
    assert planned.collect().height == 13  # the parts it was planned on are still there
    assert compact(ledger, "r", min_parts=2) == ()

    ledger.append([episode(3, turns=99), episode(50)], run_key="r")

    (second,) = compact(ledger, "r", min_parts=2, grace_s=0)
    assert len(parts(ledger)) == 3  # both merged parts and the one that came between
    compact(ledger, "r", grace_s=0)
    assert parts(ledger) == [second]
    assert {r.episode_id: r.turns for r in ledger.rows(Episode)}["e3"] == {
        r.episode_id: r.turns for r in before
    }["e3"]
    assert len(ledger.rows(Episode)) == 14


def test_a_run_that_ended_is_one_part_and_those_before_it_leave_no_others(ledger: Ledger) -> None:
    for run_key in ("first", "second"):
        for n in range(9):
            ledger.append([episode(n, run_key=run_key)], run_key=run_key)
        merge_ended(ledger, run_key)
        assert len(ledger.live_parts("episodes", run_key)) == 1
        assert len(ledger.parts("episodes", run_key)) == 10  # a query may still want the others
    merge_ended(ledger, "third", grace_s=0)
    for run_key in ("first", "second"):
        assert len(ledger.parts("episodes", run_key)) == 1
        assert len(ledger.rows(Episode, run_key)) == 9


WRITER = """
import sys
from pathlib import Path
from grindstone.ledger.store import Ledger
from grindstone.records import Episode
ledger, name = Ledger(Path(sys.argv[1])), sys.argv[2]
example = Episode.model_validate_json(sys.argv[4])
def episode(text):
    return example.model_copy(update={"episode_id": text})
print("ready", flush=True)
for n in range(int(sys.argv[3])):
    ledger.append([episode("shared%d" % n)], run_key="r")
    ledger.append([episode("%s-%d-%d" % (name, n, i)) for i in range(3)], run_key="r")
    print(n, flush=True)
"""


def writer(home: Path, name: str, batches: int) -> subprocess.Popen[str]:
    example = episode().model_dump_json()
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(home), name, str(batches), example],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "POLARS_MAX_THREADS": "1"},
    )


@pytest.mark.slow
def test_eight_processes_write_at_once(ledger: Ledger) -> None:
    running = [writer(ledger.home, f"w{n}", 3) for n in range(8)]
    while any(process.poll() is None for process in running):
        ledger.scan("episodes").collect()
        time.sleep(0.5)
    for process in running:
        process.communicate()
        assert process.returncode == 0
    found = [row.episode_id for row in ledger.rows(Episode)]
    assert len(found) == len(set(found)) == 8 * 3 * 3 + 3
    compact(ledger, "r")
    assert len(ledger.rows(Episode)) == 8 * 3 * 3 + 3


@pytest.mark.slow
def test_a_killed_writer_leaves_whole_batches(ledger: Ledger) -> None:
    for round_ in range(4):
        process = writer(ledger.home, f"k{round_}", 10_000)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        acknowledged = -1
        for line in process.stdout:
            acknowledged = int(line)
            if acknowledged >= 2 * round_:
                break
        time.sleep(0.001 * round_)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        found = [row.episode_id for row in ledger.rows(Episode)]
        assert len(found) == len(set(found))
        mine = [name for name in found if name.startswith(f"k{round_}-")]
        assert len(mine) % 3 == 0
        assert len(mine) >= 3 * (acknowledged + 1)
        compact(ledger, "r", min_parts=4)
