"""What goes to a machine that has nothing but the address, and what comes back from it."""

import asyncio
import shutil
import time
from datetime import timedelta
from pathlib import Path

import pytest
from support.object_storage import Bucket, Spoiled

from grindstone.attempt.mailbox import SliceMailbox
from grindstone.attempt.record import drop_recorded
from grindstone.attempt.spec import AttemptSpec, SolverSettings
from grindstone.attempt.travelling import pack, unpack
from grindstone.benchmark import load_task
from grindstone.errors import BudgetExceededError, Cause, InfrastructureError, InputError
from grindstone.files import write_atomic
from grindstone.home import Home
from grindstone.records import Purpose
from grindstone.remote import mirror
from grindstone.resources import bundled
from grindstone.runs import lease, remote_lock
from grindstone.runs.lease import Pulse, beating
from grindstone.runs.lock import sole_process
from grindstone.runs.remote_lock import RemoteLock
from grindstone.sandbox.owner import Owner
from grindstone.settings import GrindSettings

pytestmark = [pytest.mark.slow, pytest.mark.catalogue(of="what workers share")]


class Pair:
    """The same home as two machines see it."""

    def __init__(self, address: str, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.address, self.root, self.patch = address, root, patch
        self.here, self.there = self.home("here"), self.home("there")

    def home(self, name: str) -> Home:
        self.patch.setenv("GRINDSTONE_CACHE_DIR", str(self.root / name))
        return Home.at(self.address)


@pytest.fixture
def pair(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pair:
    return Pair(address, tmp_path, monkeypatch)


def spec_of(home: Home, folder: Path) -> AttemptSpec:
    task = load_task(folder)
    return AttemptSpec(
        home=home.root,
        run_key="r",
        agent_id="ann",
        purpose=Purpose.GRIND,
        task_id=task.task_id,
        task_dir=folder,
        task_digest=task.digest,
        workspace_commit="c",
        workspace_tree="t",
        solver=SolverSettings.of(GrindSettings(), model_id="rehearsal", sandbox="bubblewrap"),
    )


def test_a_task_travels_with_the_attempt_and_is_the_same_one(pair: Pair, tmp_path: Path):
    folder = tmp_path / "tasks" / "crlf-kit"
    shutil.copytree(bundled("examples/tasks") / "crlf-kit", folder)
    sent = spec_of(pair.here, folder)
    address = pack(pair.here, [sent])
    assert address == pair.address
    shutil.rmtree(folder)  # the other machine never had it
    pair.home("there")
    [got] = unpack([sent], address)
    assert got.home == pair.there.root
    assert got.task_dir.is_relative_to(pair.there.root)
    assert load_task(got.task_dir).digest == sent.task_digest
    assert got.episode_id == sent.episode_id, "places take no part in what an attempt is"
    assert pack(Home.at(tmp_path / "plain"), [sent]) is None


def test_whatever_is_in_a_task_is_in_it_after_the_journey(pair: Pair, tmp_path: Path):
    folder = tmp_path / "tasks" / "crlf #1 100%"
    shutil.copytree(bundled("examples/tasks") / "crlf-kit", folder)
    files = folder / "environment"
    odd = ("a b", "#", "%41", "..x", "-rf", "tab\t", "line\nline", "ä", "Case", "case", "n" * 255)
    for name in odd:
        (files / name).write_text(name)
    (files / "zero").touch()
    (files / "tool").write_text("#!/bin/sh\n")
    (files / "tool").chmod(0o711)
    (files / "empty" / "within").mkdir(parents=True)
    (files / ("d" * 200) / ("d" * 200)).mkdir(parents=True)
    (files / ("d" * 200) / ("d" * 200) / ("f" * 200)).write_text("deep")
    (files / "to a file").symlink_to("../task.toml")
    (files / "to a folder").symlink_to("empty")
    (files / "to nothing").symlink_to("nothing")
    (files / ".git").write_text("gitdir: ../modules/x\n")  # a submodule's
    (files / "repo" / ".git").mkdir(parents=True)
    (files / "repo" / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (files / "__pycache__").mkdir()
    (folder / ".git").mkdir()  # the task's own history stays at home
    sent = spec_of(pair.here, folder)
    address = pack(pair.here, [sent])
    assert address is not None
    pair.home("there")
    [got] = unpack([sent], address)

    def entries(root: Path) -> set[tuple[str, str]]:
        return {
            (path.relative_to(root).as_posix(), str(path.readlink()) if path.is_symlink() else "")
            for path in root.rglob("*")
        }

    left = {(".git", ""), ("environment/__pycache__", "")}
    assert entries(folder) - entries(got.task_dir) == left
    assert entries(got.task_dir) <= entries(folder)
    assert (got.task_dir / "environment" / "tool").stat().st_mode & 0o111
    assert load_task(got.task_dir).digest == sent.task_digest


def test_a_task_that_a_rule_of_the_bucket_removed_is_sent_again(pair: Pair):
    sent = spec_of(pair.here, bundled("examples/tasks") / "crlf-kit")
    assert pack(pair.here, [sent]) and pair.here.mirror is not None
    pair.here.mirror.store.delete(f"tasks/{sent.task_digest}.tar.gz")
    assert pack(pair.here, [sent])
    pair.home("there")
    [got] = unpack([sent], pair.address)
    assert load_task(got.task_dir).digest == sent.task_digest


def test_a_task_that_is_damaged_in_storage_is_told(pair: Pair):
    sent = spec_of(pair.here, bundled("examples/tasks") / "crlf-kit")
    assert pack(pair.here, [sent]) and pair.here.mirror is not None
    store, name = pair.here.mirror.store, f"tasks/{sent.task_digest}.tar.gz"
    whole = store.get(name)
    assert whole is not None
    pair.home("there")
    for damaged in (whole[: len(whole) // 2], b"", b"not an archive"):
        store.put(name, damaged)
        with pytest.raises(InputError, match=rf"{sent.task_digest}.*is damaged.*sends it again"):
            unpack([sent], pair.address)


def test_tasks_of_the_same_content_travel_under_their_names(pair: Pair, tmp_path: Path):
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        shutil.copytree(bundled("examples/tasks") / "crlf-kit", folder)
    sent = [spec_of(pair.here, folder) for folder in folders]
    assert sent[0].task_digest == sent[1].task_digest
    address = pack(pair.here, sent)
    assert address is not None
    pair.home("there")
    got = unpack(sent, address)
    assert [load_task(each.task_dir).task_id for each in got] == ["one", "two"]


def test_a_task_that_nobody_sent_is_told(pair: Pair):
    sent = spec_of(pair.here, bundled("examples/tasks") / "crlf-kit")
    with pytest.raises(InputError, match="is not there"):
        unpack([sent], pair.address)


@pytest.mark.parametrize("shared", ["storage", "folder"])
def test_a_slice_is_handed_more_until_it_takes_no_more(pair: Pair, tmp_path: Path, shared: str):
    sent = spec_of(pair.here, bundled("examples/tasks") / "crlf-kit")
    homes = (pair.here, pair.there) if shared == "storage" else (Home.at(tmp_path / "h"),) * 2
    sender, own = (SliceMailbox(home.run("r").pulse("s")) for home in homes)
    assert own.take() == ()
    more = [sent.model_copy(update={"trial": number}) for number in range(3)]
    assert sender.hand(more[:2])
    assert sender.hand(more[2:])
    assert not own.close(), "it was handed some that it has not taken"
    assert [[spec.trial for spec in own.take()] for _ in range(3)] == [[0, 1], [2], []]
    later = SliceMailbox(homes[0].run("r").pulse("s"))  # of who goes on with the run
    assert [len(later.take()) for _ in range(3)] == [2, 1, 0]
    assert own.close()
    assert not sender.hand(more)
    assert not later.hand(more)


def test_what_is_damaged_of_what_two_sides_leave_each_other_is_as_if_not_there(tmp_path: Path):
    pulse = Home.at(tmp_path / "h").run("r").pulse("s")
    pulse.parent.mkdir(parents=True)
    pulse.with_suffix(".more-0").write_text('{"attempts": [')
    pulse.with_suffix(".ended").write_text("{")
    assert SliceMailbox(pulse).take() == ()
    assert not SliceMailbox(pulse).close(), "and ends without it"
    assert SliceMailbox(pulse).told_end() is None


@pytest.mark.parametrize("shared", ["storage", "folder"])
def test_what_a_killed_slice_left_of_an_attempt_in_the_ledger_is_removed(
    pair: Pair, tmp_path: Path, shared: str
):
    home = pair.here if shared == "storage" else Home.at(tmp_path / "h")
    run = home.run("r")
    for name in ("recorded", "other"):
        if home.mirror is not None:
            home.mirror.store.put(home.mirror.name_of(run.attempt(name)), b"{}")
        write_atomic(run.attempt(name), "{}")
    drop_recorded(run, ["recorded"])
    assert [path.name for path in run.attempt("any").parent.iterdir()] == ["other.json"]
    if home.mirror is not None:
        left = [entry.name for entry in home.mirror.store.listed("runs/r/attempts")]
        assert left == ["runs/r/attempts/other.json"]


@pytest.mark.parametrize("shared", ["folder", "storage"])
def test_why_a_slice_ended_is_told_where_prefect_cannot(pair: Pair, tmp_path: Path, shared: str):
    here = there = Home.at(tmp_path / "h")
    if shared == "storage":
        here, there = pair.here, pair.there
    for number, error in enumerate(
        [
            BudgetExceededError("the ceiling", ceiling="max_cost_usd", limit=0.5),
            InputError.together([InputError("a", "b", "c"), InputError("d", "e", "f")]),
        ]
    ):
        SliceMailbox(there.run("r").pulse(str(number))).tell_end(error)
        told = SliceMailbox(here.run("r").pulse(str(number))).told_end()
        assert (type(told), str(told)) == (type(error), str(error))
        assert isinstance(told, InputError) or (told.ceiling, told.limit) == ("max_cost_usd", 0.5)
    SliceMailbox(there.run("r").pulse("2")).tell_end(InfrastructureError(Cause.IMAGE_BUILD, "x"))
    assert SliceMailbox(here.run("r").pulse("2")).told_end() is None, (
        "the attempts go to another worker"
    )


async def test_signs_of_life_are_seen_and_who_is_given_up_stops(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lease, "BEAT_S", 0.05)
    seen = Pulse(pair.here.run("r").pulse("s"))

    async def work() -> None:
        async with beating(pair.there.run("r").pulse("s")):
            await asyncio.sleep(60)

    slice_there = asyncio.create_task(work())
    await asyncio.sleep(1)
    assert await asyncio.to_thread(seen.silent_s) < 0.9
    await asyncio.to_thread(seen.give_up)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(slice_there, 10)
    assert await asyncio.to_thread(seen.silent_s) < 10


async def test_who_cannot_give_signs_of_life_stops_before_long(
    s3: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lease, "BEAT_S", 0.1)
    monkeypatch.setattr(lease, "LOST_S", 1.0)
    monkeypatch.setattr(mirror, "PRESSING", timedelta(seconds=0.3))
    with Spoiled(s3, rate=0.0, seed=1) as storage:
        for name, value in storage.bucket.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("GRINDSTONE_CACHE_DIR", str(tmp_path))
        pulse = Home.at(f"{s3.url}/away").run("r").pulse("s")
        working = asyncio.create_task(work_within(pulse))
        while storage.passed < 4:
            await asyncio.sleep(0.05)
    began = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(working, 100)
    assert time.monotonic() - began < 60, "and not after the three minutes of other requests"


async def work_within(pulse: Path) -> None:
    async with beating(pulse):
        await asyncio.sleep(60)


async def test_who_finds_its_sign_of_life_cleared_away_stops(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lease, "BEAT_S", 0.1)
    assert pair.here.mirror is not None
    store, pulse = pair.here.mirror.store, pair.there.run("r").pulse("s")

    slice_there = asyncio.create_task(work_within(pulse))
    while not await asyncio.to_thread(store.listed, "runs/r/slices"):
        await asyncio.sleep(0.05)
    await asyncio.to_thread(lease.clear, pair.here.run("r").slices, "s".__eq__)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(slice_there, 10)
    assert not await asyncio.to_thread(store.listed, "runs/r/slices")


def test_a_run_has_one_driver_on_all_machines(pair: Pair, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("grindstone.runs.remote_lock.BEAT_S", 0.1)
    with (
        sole_process(pair.here.run("r"), "r"),
        pytest.raises(InputError, match="run by another process"),
        sole_process(pair.there.run("r"), "r"),
    ):
        pass
    with sole_process(pair.there.run("r"), "r"):
        pass


def test_who_is_silent_for_long_loses_the_lock_and_is_told(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
):
    lost: list[str] = []
    path = pair.here.run("r").lock
    assert pair.here.mirror is not None and pair.there.mirror is not None
    elsewhere = Owner("another-host/1", 1, "1")  # so it counts as alive
    monkeypatch.setattr(remote_lock, "BEAT_S", 1.5)
    monkeypatch.setattr(remote_lock, "LOST_S", 0.5)
    monkeypatch.setattr(remote_lock, "this_process", lambda: elsewhere)
    slow = RemoteLock(pair.here.mirror, path)
    fast = RemoteLock(pair.there.mirror, pair.there.run("r").lock)
    with (
        slow.hold(lost=lambda _: lost.append("slow")) as first,
        fast.hold(lost=lambda _: lost.append("fast")) as second,
    ):
        assert (first, second) == (1, 2)
        time.sleep(2)
        assert lost == ["slow"]
    with fast.hold() as third:
        assert third == 3
