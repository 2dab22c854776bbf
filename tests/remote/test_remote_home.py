"""A home in object storage, seen from two machines: two processes' caches are two folders here."""

from pathlib import Path

import pytest
from support.remote_rows import egl_row, paid_call

from grindstone.errors import Cause, InfrastructureError, InputError
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.ledger.compaction import compact, merge_ended
from grindstone.ledger.tables.runs import EglRow
from grindstone.llm.journal import Journal
from grindstone.remote import mirror
from grindstone.remote.store import Store
from grindstone.resources import bundled
from grindstone.workspace import Workspace, WorkspaceError

pytestmark = pytest.mark.slow

SEED = bundled("seed_workspaces/skillbench")


class Machines:
    """Machines that share the home at an address and nothing else."""

    def __init__(self, address: str, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.address, self.root, self.patch = address, root, patch

    def home(self, name: str) -> Home:
        """The home, as a machine of that name sees it."""
        self.patch.setenv("GRINDSTONE_CACHE_DIR", str(self.root / name))
        return Home.at(self.address)


@pytest.fixture
def machines(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machines:
    return Machines(address, tmp_path, monkeypatch)


def test_two_machines_read_each_others_rows(machines: Machines):
    one, other = Ledger(machines.home("one")), Ledger(machines.home("other"))
    assert one.root != other.root
    one.append([egl_row(0)], run_key="r")
    assert [each.index for each in other.rows(EglRow, "r")] == [0]
    other.append([egl_row(1)], run_key="r")
    assert {each.index for each in one.rows(EglRow)} == {0, 1}
    assert one.runs() == other.runs("egl") == ("r",)


def test_of_two_writers_of_a_row_the_first_wins_everywhere(machines: Machines):
    one, other = Ledger(machines.home("one")), Ledger(machines.home("other"))
    one.append([egl_row(0, tasks=1)], run_key="r")
    other.append([egl_row(0, tasks=2)], run_key="r")
    assert [each.tasks_solved for each in one.rows(EglRow)] == [1]
    assert [each.tasks_solved for each in other.rows(EglRow)] == [1]


def test_a_new_machine_reads_what_was_merged_and_nothing_twice(machines: Machines):
    one = Ledger(machines.home("one"))
    for index in range(9):
        one.append([egl_row(index)], run_key="r")
    assert compact(one, "r", grace_s=-1.0)
    new = Ledger(machines.home("new"))
    assert sorted(each.index for each in new.rows(EglRow)) == list(range(9))
    assert [part.merged for part in new.parts("egl", "r")] == [True], "the rest was not fetched"
    one.append([egl_row(9)], run_key="r")
    compact(one, "r", grace_s=-1.0)  # removes what was merged, in storage too
    assert compact(Ledger(machines.home("any")), "other") == ()
    elsewhere = Ledger(machines.home("elsewhere"))  # has read nothing of what it merges
    for index in range(9):
        one.append([egl_row(index, run_key="s")], run_key="s")
    assert [path.name[:7] for path in compact(elsewhere, "s")] == ["merged-"]
    assert not elsewhere.folder("egl", "r").exists(), "nor has it fetched another run's"
    last = Ledger(machines.home("last"))
    assert len(last.rows(EglRow, "r")) == 10
    assert len(last.parts("egl", "r")) == 2
    assert last.parts("egl", "r")[0].written_ns == one.parts("egl", "r")[0].written_ns


def test_what_was_merged_goes_from_storage_though_its_machine_never_comes_back(machines: Machines):
    one, other = Ledger(machines.home("one")), Ledger(machines.home("other"))
    for index in range(9):
        one.append([egl_row(index)], run_key="r")
    merge_ended(one, "r")
    other.append([egl_row(0, run_key="s")], run_key="s")
    assert len(Store(machines.address).listed("ledger/egl/run=r")) == 10, "somebody may read them"
    merge_ended(other, "s", grace_s=-1.0)
    assert len(Store(machines.address).listed("ledger/egl/run=r")) == 1
    assert len(one.rows(EglRow, "r")) == len(other.rows(EglRow, "r")) == 9
    assert [each.index for each in other.rows(EglRow, "s")] == [0]


def test_a_call_paid_for_is_found_by_a_machine_that_never_saw_it(machines: Machines):
    here, there = (Journal(machines.home(name).run("r").journal) for name in ("one", "other"))
    site, paid = paid_call("first")
    assert there.look_up("first", site) is None
    here.append(site, paid)
    new = Journal(machines.home("new").run("r").journal)
    assert new.look_up("first", site) == paid
    assert new.look_up("second", site) is None
    assert [each.record.call_id for each in there.entries()] == ["first"]


def test_what_others_spend_is_seen_before_long(machines: Machines, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("grindstone.llm.journal.PULL_S", 0.0)
    here, there = (Journal(machines.home(name).run("r").journal) for name in ("one", "other"))
    here.append(*paid_call("a"))
    there.append(*paid_call("b"))
    assert [call.call_id for call in here.news()] == ["b"]
    assert [call.call_id for call in there.news()] == ["a"]
    assert not here.news()


def test_a_workspace_is_the_same_one_on_each_machine(machines: Machines):
    one = Workspace.create(machines.home("one").workspace("ann"), SEED)
    other = Workspace.create(machines.home("other").workspace("ann"), SEED)
    assert one.snapshot() == other.snapshot()
    with one.writing() as root:
        (root / "memory" / "note.md").write_text("learned here")
        ref = one.commit_evolution(None, "Learn")
    with other.writing() as root:
        assert (root / "memory" / "note.md").read_text() == "learned here"
        (root / "memory" / "note.md").write_text("learned there")
        assert other.commit_evolution(None, "Learn more").number == 2
    assert ref.number == 1
    again = Workspace.open(one.root)
    assert [each.number for each in again.evolutions()] == [1, 2]
    again.rollback("pre-evo-2")
    new = Workspace.open(machines.home("new").workspace("ann"))
    assert new.snapshot().tree == again.snapshot().tree
    assert "rejected-evo-2" in new.repository.tags()


def test_two_writers_cannot_both_win(machines: Machines):
    one = Workspace.create(machines.home("one").workspace("ann"), SEED)
    other = Workspace.open(machines.home("other").workspace("ann"))
    first = "another machine's change came first"
    with pytest.raises(WorkspaceError, match=first), one.writing() as root:
        (root / "memory" / "note.md").write_text("slow")
        with other.writing() as there:
            (there / "memory" / "note.md").write_text("fast")
            other.commit_evolution(None, "Be faster")
        one.commit_evolution(None, "Be slower")
    with one.writing() as root:
        assert (root / "memory" / "note.md").read_text() == "fast"
    assert [each.subject for each in one.repository.log()] == [
        each.subject for each in other.repository.log()
    ]


def test_a_move_that_storage_never_saw_is_made_there_by_the_next_writer(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
):
    one = Workspace.create(machines.home("one").workspace("ann"), SEED)

    def killed(*_: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as cut, pytest.raises(KeyboardInterrupt):
        cut.setattr("grindstone.workspace.shared.SharedRepository._push", killed)
        with one.writing() as root:
            (root / "memory" / "note.md").write_text("committed, then killed")
            one.commit_evolution(None, "Learn")
    Workspace.open(one.root)
    new = Workspace.open(machines.home("new").workspace("ann"))
    assert [each.number for each in new.evolutions()] == [1]


def test_an_address_that_is_no_home_is_refused():
    with pytest.raises(InputError, match=r"ftp://x.*expected a folder, or s3://"):
        Home.at("ftp://x/y")
    assert Home.at("file:///tmp/x%20y").root == Path("/tmp/x y")


def test_storage_that_refuses_is_told(address: str, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(InfrastructureError, match=r"s3://absent.*cannot write a: ") as caught:
        Store("s3://absent/x").put("a", b"")
    assert caught.value.cause is Cause.REMOTE_HOME


def test_of_two_that_change_an_object_one_wins(address: str):
    store = Store(address)
    first = store.put_new("a", b"1")
    assert first is not None
    assert store.put_new("a", b"2") is None
    assert store.put_over("a", b"3", first) is not None
    assert store.put_over("a", b"4", first) is None
    assert store.get("a") == b"3"
    for _ in range(2):
        store.delete("a")
    assert store.get("a") is None
    assert store.put_over("a", b"5", first) is None


def test_a_path_within_says_whose_it_is(machines: Machines):
    home = machines.home("one")
    found = mirror.mirror_of(home.run("r").journal)
    assert found is home.mirror is not None
    assert found.name_of(home.run("r").plan) == "runs/r/plan.json"
    assert mirror.mirror_of(machines.root) is None
