"""The chain: concurrent writers, tampering of every kind, checkpoints."""

import json
import multiprocessing
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from grindstone.errors import InputError
from grindstone.flows.cli.app import app
from grindstone.graduation.audit.chain import Chain, Head
from grindstone.graduation.audit.event import AuditError, AuditEvent, EventDraft, EventKind
from grindstone.graduation.audit.signing import make_keys, sign_end
from grindstone.graduation.audit.standing import agent_of
from grindstone.graduation.audit.verify import parse_anchor, verify
from grindstone.graduation.rules.levels import Level

NOON = datetime(2026, 2, 3, 12, tzinfo=UTC)


def draft(agent: str, number: int = 0) -> EventDraft:
    return EventDraft(
        kind=EventKind.PROMOTED,
        agent_id=agent,
        from_level=Level.STUDENT,
        to_level=Level.INTERN,
        by="Grace",
        reason=f"number {number}",
        evidence={"score": 77.7, "gaps": [], "naïve": "ü|<b>"},
        at=NOON,
    )


def chain_of(home: Path, count: int) -> Chain:
    chain = Chain(home)
    for number in range(count):
        chain.append(lambda _, number=number: draft("ada", number))
    return chain


def _append_many(home: Path, worker: int, count: int) -> None:
    chain = Chain(home)
    for number in range(count):
        chain.append(lambda _, number=number: draft(f"agent-{worker}", number))


@pytest.mark.slow
def test_sixteen_processes_append_without_gap_fork_or_loss(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    workers = [context.Process(target=_append_many, args=(tmp_path, i, 12)) for i in range(16)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    found = verify(Chain(tmp_path))
    assert (found.intact, found.events) == (True, 16 * 12)
    assert found.head.sequence == 16 * 12
    events = Chain(tmp_path).events()
    for worker in range(16):
        mine = [event.reason for event in events if event.agent_id == f"agent-{worker}"]
        assert mine == [f"number {number}" for number in range(12)]


def _promote_once(home: Path, results: "multiprocessing.Queue[bool]") -> None:
    """Promotes an agent only when nobody did before."""

    def decide(events: tuple[AuditEvent, ...]) -> EventDraft | None:
        return None if any(event.agent_id == "ada" for event in events) else draft("ada")

    results.put(Chain(home).append(decide) is not None)


@pytest.mark.slow
def test_of_many_that_decide_the_same_at_once_one_is_first(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    results = context.Queue()
    workers = [context.Process(target=_promote_once, args=(tmp_path, results)) for _ in range(8)]
    for worker in workers:
        worker.start()
    won = [results.get(timeout=30) for _ in workers]
    for worker in workers:
        worker.join(30)
    assert sum(won) == 1
    assert len(Chain(tmp_path).events()) == 1


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("five")
    chain_of(home, 5)
    return home


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_any_flipped_bit_of_any_event_is_found(five: Path, data: st.DataObject) -> None:
    number = data.draw(st.integers(1, 5))
    path = Chain(five).path(number)
    whole = path.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(bytes(changed))
    try:
        found = verify(Chain(five))
    finally:
        path.write_bytes(whole)
    assert not found.intact
    assert found.first_bad == f"{number:06d}.json"
    assert verify(Chain(five)).intact


def test_every_byte_of_an_event_counts(five: Path) -> None:
    path = Chain(five).path(3)
    whole = path.read_bytes()
    try:
        for place in range(len(whole)):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            assert verify(Chain(five)).first_bad == "000003.json"
    finally:
        path.write_bytes(whole)


def test_removed_reordered_rewritten_and_cut_off_events_are_named(tmp_path: Path) -> None:
    home = tmp_path / "home"
    chain = chain_of(home, 5)

    def broken(change) -> tuple[str, str]:
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(home, copy)
        change(Chain(copy))
        found = verify(Chain(copy))
        assert not found.intact
        return found.first_bad, found.problem

    def swap(copy: Chain) -> None:
        two, three = copy.path(2).read_bytes(), copy.path(3).read_bytes()
        copy.path(2).write_bytes(three)
        copy.path(3).write_bytes(two)

    def rewrite(copy: Chain) -> None:
        """An event replaced by another that is whole in itself."""
        event = copy.events()[1]
        from grindstone.graduation.audit.event import seal

        body = event.model_copy(update={"by": "Mallory"})
        forged = seal(
            EventDraft.model_validate(body.model_dump(exclude={"sequence", "previous", "digest"})),
            sequence=2,
            previous=event.previous,
        )
        copy.path(2).write_bytes(forged.file())

    first, problem = broken(lambda copy: copy.path(2).unlink())
    assert first == "000002.json"
    assert "is missing" in problem
    first, problem = broken(swap)
    assert first == "000002.json"
    assert "reordered" in problem
    first, problem = broken(rewrite)
    assert first == "000003.json"
    assert "replaced" in problem
    first, problem = broken(lambda copy: copy.path(5).unlink())
    assert first == "000005.json"
    assert "cut off" in problem
    first, _ = broken(lambda copy: copy.head_path.unlink())
    assert first == "head.json"
    assert verify(chain).intact


def test_nothing_is_built_on_a_damaged_chain(tmp_path: Path) -> None:
    chain_of(tmp_path, 3)
    Chain(tmp_path).path(3).unlink()
    with pytest.raises(AuditError, match=r"000003\.json: is missing"):
        Chain(tmp_path).append(lambda _: draft("ada"))


def test_a_folder_that_is_gone_is_no_empty_trail(tmp_path: Path) -> None:
    chain = chain_of(tmp_path, 4)
    shutil.rmtree(chain.folder)
    found = verify(Chain(tmp_path))
    assert (found.intact, found.first_bad) == (False, "000001.json")
    with pytest.raises(AuditError, match=r"audit-end\.json names"):
        Chain(tmp_path).events()  # nobody becomes a STUDENT by it
    done = CliRunner().invoke(app, ["audit", "verify", "--work-dir", str(tmp_path)])
    assert done.exit_code == 1
    assert "NOT INTACT" in done.output


@pytest.mark.parametrize(
    "agent_id", ["../../../../x", "..", "a/../b", " ", "", "x" * 300, "a\u200bb"]
)
@pytest.mark.parametrize("command", ["export", "trail"])
def test_an_agent_id_that_is_none_is_wrong_input(
    tmp_path: Path, agent_id: str, command: str
) -> None:
    home = tmp_path / "a" / "b" / "c" / "home"
    chain_of(home, 1)
    before = sorted(tmp_path.rglob("*"))
    done = CliRunner().invoke(
        app, ["audit", command, "--agent-id", agent_id, "--work-dir", str(home)]
    )
    assert isinstance(done.exception, InputError) or done.exit_code == 2
    assert [path for path in sorted(tmp_path.rglob("*")) if path not in before] == []


@pytest.mark.slow
@pytest.mark.parametrize("agent_id", ["team.a:ada@2", "team/ada", "é" * 128])
def test_an_odd_name_is_exported_inside_the_home(tmp_path: Path, agent_id: str) -> None:
    Chain(tmp_path).append(lambda _: draft(agent_id, 1))
    done = CliRunner().invoke(
        app, ["audit", "export", "--agent-id", agent_id, "--work-dir", str(tmp_path)]
    )
    assert done.exit_code == 0, done.output
    assert [path.parent.name for path in tmp_path.rglob("graduation-*")] == ["reports"]


def test_an_anchor_kept_elsewhere_shows_what_the_folder_cannot(tmp_path: Path) -> None:
    chain = chain_of(tmp_path, 4)
    head = verify(chain).head
    anchor = parse_anchor(f"{head.sequence}:{head.digest}")
    chain.path(4).unlink()
    last = Chain(tmp_path).path(3)
    digest = json.loads(last.read_bytes())["digest"]
    chain.head_path.write_text(Head(sequence=3, digest=digest).model_dump_json())
    assert "audit-end.json" in verify(Chain(tmp_path)).problem
    chain.end_path.unlink()
    assert verify(Chain(tmp_path)).intact  # the home alone cannot tell
    found = verify(Chain(tmp_path), anchors=[anchor])
    assert (found.intact, found.first_bad) == (False, "000004.json")
    with pytest.raises(InputError, match="64 hex digits"):
        parse_anchor("4:abc")


def test_checkpoints_are_signed_and_hold_the_end(tmp_path: Path) -> None:
    private = tmp_path / "keys" / "audit.pem"
    public = make_keys(private)
    chain = chain_of(tmp_path, 3)
    assert not verify(chain, public_key=public).intact  # nothing is signed yet
    point = sign_end(chain, private)
    assert point is not None
    assert sign_end(chain, private) is None
    chain.append(lambda _: draft("ada", 9))
    found = verify(chain, public_key=public)
    assert (found.intact, found.signed_up_to) == (True, 3)
    assert "1 events came after" in found.notes[0]
    other = make_keys(tmp_path / "keys" / "other.pem")
    assert "not the key's" in verify(chain, public_key=other).problem
    assert private.stat().st_mode & 0o077 == 0
    with pytest.raises(InputError, match="exists already"):
        make_keys(private)


def test_a_clock_set_back_makes_no_event_older_than_the_one_before(tmp_path: Path) -> None:
    chain = chain_of(tmp_path, 1)
    early = draft("ada").model_copy(update={"kind": EventKind.DEMOTED, "at": NOON.replace(hour=1)})
    event = chain.append(lambda _: early)
    assert event is not None
    assert event.at == NOON
    assert agent_of(chain.events(), "ada").since == NOON  # no episode before it counts again


def test_times_without_a_zone_are_refused() -> None:
    with pytest.raises(ValueError, match="timezone"):
        EventDraft(kind=EventKind.PROMOTED, by="Grace", at=datetime(2026, 1, 1))


@pytest.mark.parametrize("name", ["000002.json", "head.json", "../audit-end.json"])
def test_a_folder_in_the_place_of_a_file_is_a_finding(name: str, tmp_path: Path) -> None:
    path = chain_of(tmp_path, 2).folder / name
    path.unlink()
    path.mkdir()
    found = verify(Chain(tmp_path))
    assert not found.intact and "cannot be read: Is a directory" in found.problem
    with pytest.raises(AuditError, match="cannot be read"):
        Chain(tmp_path).events()


@pytest.mark.parametrize("number", ["²", "-1", "1" * 20, ""])
def test_an_anchor_begins_with_a_number(number: str) -> None:
    with pytest.raises(InputError, match="--anchor"):
        parse_anchor(f"{number}:{'0' * 64}")
