"""Whole homes, moved between folders and object storage."""

from pathlib import Path

import pytest
from filelock import FileLock
from support.remote_rows import egl_row, paid_call

from grindstone.errors import InputError
from grindstone.graduation.audit.chain import Chain
from grindstone.graduation.audit.event import EventDraft
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import EglRow
from grindstone.llm.journal import Journal
from grindstone.records import utc_now
from grindstone.remote.store import Store
from grindstone.resources import bundled
from grindstone.runs.home_check import check_home
from grindstone.runs.home_copy import copy_home, side_of
from grindstone.runs.remote_lock import RemoteLock
from grindstone.workspace import Workspace

pytestmark = pytest.mark.slow

TOOL = "variants/tasks/one/tests/run tests.sh"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with something of each kind in it."""
    made = Home.at(tmp_path / "home")
    ledger = Ledger(made)
    ledger.append([egl_row(0, tasks=7)], run_key="r")
    ledger.append([egl_row(0, tasks=8), egl_row(1)], run_key="r")  # the older part's row counts
    for name in ("a", "b"):
        Journal(made.run("r").journal).append(*paid_call(name))
    workspace = Workspace.create(made.workspace("ann"), bundled("seed_workspaces/skillbench"))
    with workspace.writing() as root:
        (root / "memory" / "note.md").write_text("learned")
        workspace.commit_evolution(None, "Learn")
    workspace.write_observation("seen", [{"a": 1}])
    workspace.frozen()
    event = EventDraft(kind="imported", agent_id="ann", by="a test", at=utc_now())
    Chain(made).append(lambda events: event)
    tool = made.root / TOOL
    tool.parent.mkdir(parents=True)
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    (tool.parent / "Cargo.lock").write_text("a task's own file")
    (made.root / "server").mkdir()
    (made.root / "server" / "login").write_text("of this machine")
    return made


def told(home: Home) -> tuple[object, ...]:
    """What a home says of itself."""
    workspace = Workspace.open(home.workspace("ann"))
    ledger = Ledger(home)
    return (
        sorted((row.index, row.tasks_solved) for row in ledger.rows(EglRow)),
        {entry.record.call_id for entry in Journal(home.run("r").journal).entries()},
        [(each.number, each.commit) for each in workspace.evolutions()],
        workspace.current_observation(),
        Chain(home).events(),
        home.agents(),
    )


def test_a_home_is_the_same_after_three_moves(home: Home, address: str, tmp_path: Path):
    before = told(home)
    assert before[0] == [(0, 7), (1, 1)]
    back = str(tmp_path / "back")
    first = copy_home(str(home), address)
    assert first.left_out == ("server/: the state of this machine's Prefect server",)
    assert told(Home.at(address)) == before, "it can be worked with where it is"
    copy_home(address, f"{address}-two")
    copy_home(f"{address}-two", back)
    assert told(Home.at(back)) == before
    assert (Path(back) / TOOL).stat().st_mode & 0o111
    assert (Path(back) / TOOL).with_name("Cargo.lock").is_file()
    assert not (Path(back) / "server").exists()
    for place in (home, Home.at(address), Home.at(back)):
        found = check_home(place)
        assert not found.faults
        assert (found.parts, found.rows, found.calls, found.workspaces) == (2, 2, 2, 1)


def test_what_was_made_in_storage_comes_back_too(home: Home, address: str, tmp_path: Path):
    copy_home(str(home), address)
    away = Home.at(address)
    Journal(away.run("r").journal).append(*paid_call("c"))
    Ledger(away).append([egl_row(2)], run_key="r")
    back = Home.at(tmp_path / "back")
    for _ in range(2):
        again = copy_home(address, str(back))
    assert again.copied == 2, "a folder has both pieces of the journal in one file"
    assert told(back) == told(away)
    assert [entry.record.call_id for entry in Journal(back.run("r").journal).entries()] == [*"abc"]


def test_a_copy_that_is_cut_short_is_gone_on_with(
    home: Home, address: str, monkeypatch: pytest.MonkeyPatch
):
    put, left = Store.put, [6]

    def cut(self: Store, name: str, content: bytes) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        put(self, name, content)

    with monkeypatch.context() as cutting, pytest.raises(KeyboardInterrupt):
        cutting.setattr(Store, "put", cut)
        copy_home(str(home), address)
    assert "was cut short" in check_home(Home.at(address)).faults[0]
    done = copy_home(str(home), address)
    assert done.files - done.copied == 4
    assert told(Home.at(address)) == told(home)


def test_what_is_there_already_is_not_written_over(home: Home, address: str, tmp_path: Path):
    Store(address).put("ledger/x", b"somebody's")
    with pytest.raises(InputError, match=r"is not empty"):
        copy_home(str(home), address)
    copy_home(str(home), f"{address}-two")
    with pytest.raises(InputError, match=r"is a copy of"):
        copy_home(address, f"{address}-two")
    with pytest.raises(InputError, match=r"holds no home"):
        copy_home(str(tmp_path / "nothing"), f"{address}-three")


def test_a_home_in_use_is_not_copied(
    home: Home, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with FileLock(home.run("r").lock), pytest.raises(InputError, match="is in use by r"):
        copy_home(str(home), address)
    copy_home(str(home), address)
    monkeypatch.setattr("grindstone.runs.remote_lock.BEAT_S", 0.2)
    monkeypatch.setattr("grindstone.runs.home_copy.BEAT_S", 0.3)
    away = Home.at(address)
    assert away.mirror is not None
    with (
        RemoteLock(away.mirror, away.run("r").lock).hold(),
        pytest.raises(InputError, match="is in use by r"),
    ):
        copy_home(address, str(tmp_path / "back"))
    copy_home(address, str(tmp_path / "back"))


def test_damage_is_told(home: Home, address: str):
    copy_home(str(home), address)
    away = Home.at(address)
    assert away.mirror is not None
    [part, _] = [name for name in side_of(address).pieces() if name.endswith(".parquet")]
    content = away.mirror.store.get(part)
    assert content is not None
    away.mirror.store.put(part, content[:-9])
    away.mirror.store.put("runs/r/plan.json", b"{}")
    faults = check_home(away).faults
    assert any("ledger/egl, run r" in fault and "damaged" in fault for fault in faults)
    assert any("plan of a run" in fault for fault in faults)
    assert f"{part}: is not what was copied" in faults
