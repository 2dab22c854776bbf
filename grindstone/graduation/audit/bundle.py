"""A promotion with all it rests on, in one folder that a stranger checks without a home.

    promotion.dsse.json   in-toto Statement v1 in a DSSE envelope, signed with ed25519
    events.jsonl          the audit trail up to the promotion, a line per event
    rows.jsonl            the rows that were counted, a line per row: its place, its content
    key.pub               the public half of the signer's key, in PEM
    README.md             how to check it

The statement names the digest of each file. Who checks it follows the chain of events to the
promotion, makes the Merkle root of the rows anew, and computes from them, by the policy that
the promotion holds, whether the criteria were met.
"""

import hashlib
import json
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, JsonValue, PositiveInt, ValidationError

from grindstone.base import Frozen
from grindstone.errors import GrindstoneError, InputError
from grindstone.files import write_atomic
from grindstone.graduation.audit.counted_rows import (
    TABLES,
    CountedRow,
    RowsSeal,
    compare_rows,
    counted_row,
    counted_rows,
    is_recorded_since,
    list_path,
    read_list,
    root_of,
    seal_of,
)
from grindstone.graduation.audit.event import GENESIS, AuditEvent, digest_of
from grindstone.graduation.audit.signing import private_key_of, public_key_of
from grindstone.graduation.audit.standing import agent_of
from grindstone.graduation.evidence.readiness import Readiness, assess
from grindstone.graduation.evidence.record import Record
from grindstone.graduation.evidence.requirements import Requirement
from grindstone.graduation.registry import Registry
from grindstone.graduation.rules.policy import Policy
from grindstone.ledger import Ledger
from grindstone.ledger.row import table_of
from grindstone.text import minute

if TYPE_CHECKING:
    from securesystemslib.signer import SSlibKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "urn:grindstone:promotion:v1"
ENVELOPE, EVENTS, ROWS, KEY = "promotion.dsse.json", "events.jsonl", "rows.jsonl", "key.pub"

README = """# Promotion {number}: {agent} to {level}

Check it with one command, offline, without the home it comes from:

    grindstone audit verify --bundle . --public-key signer.pub

`signer.pub` is the signer's public key as you got it from the signer; `key.pub` in this folder
is a copy for comparison. The command checks the signature, the digest of every file, the chain of
events up to the promotion, the rows' Merkle root against the one in the promotion, and computes
the criteria anew from the rows.
"""


class BundleCheck(Frozen):
    """What a check of a bundle found."""

    valid: bool
    claim: str = ""
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    event: PositiveInt | None = None
    key_id: str = ""


def write_bundle(registry: Registry, number: int, private_key: Path, folder: Path) -> Path:
    """Write a promotion's bundle.

    Args:
        registry: The home.
        number: The promotion's in the audit trail.
        private_key: PEM file of an ed25519 key.
        folder: Where to; made if need be, and empty or a former bundle.

    Raises:
        InputError: The event is no promotion, its rows are not as counted, or the key cannot
            be used.
    """
    from cryptography.hazmat.primitives import serialization as form
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import CryptoSigner

    events = registry.chain.events()
    event, seal = _promotion(events, number)
    rows = _counted(registry, events, event, seal)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / ENVELOPE).exists():
        raise InputError(str(folder), "holds other files", "a new or empty folder")
    key = private_key_of(private_key)
    files = {
        EVENTS: b"".join(each.file() for each in events[:number]),
        ROWS: b"".join(_line([list(row.place), row.content]) for row in rows),
        KEY: key.public_key().public_bytes(
            form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo
        ),
        "README.md": README.format(
            number=number, agent=event.agent_id, level=event.to_level
        ).encode(),
    }
    statement = _statement(event, seal, files)
    envelope = Envelope(json.dumps(statement, indent=1).encode(), PAYLOAD_TYPE, {})
    envelope.sign(CryptoSigner(key))
    for name, content in files.items():
        write_atomic(folder / name, content)
    write_atomic(folder / ENVELOPE, json.dumps(envelope.to_dict(), indent=1) + "\n")
    return folder


def verify_bundle(folder: Path, public_key: Path | None = None) -> BundleCheck:
    """Check a bundle by itself; nothing outside of it is read but the key.

    Args:
        folder: The bundle.
        public_key: PEM file of the signer's key; without it the one in the bundle is used, which
            shows only that the bundle is of one piece.

    Raises:
        InputError: There is no bundle, or the key cannot be used.
    """
    if not (folder / ENVELOPE).is_file():
        raise InputError(str(folder), f"has no {ENVELOPE}", "a folder made by `audit bundle`")
    key_file = public_key or folder / KEY
    if not key_file.is_file():
        return BundleCheck(valid=False, problems=(f"{KEY}: is missing",))
    problems: list[str] = []
    key = _verifying_key(key_file)
    statement = _opened(folder, key, problems)
    event: AuditEvent | None = None
    if statement is not None:
        try:
            problems += _files(folder, statement)
            if not problems:
                event = _check_content(folder, statement, problems)
        except (AttributeError, KeyError, TypeError) as error:
            problems.append(f"is no bundle of a promotion: {type(error).__name__}: {error}")
    notes = (
        ()
        if public_key is not None
        else (f"Signed by the bundle's own key {key.keyid}: compare it with the signer's.",)
    )
    return BundleCheck(
        valid=not problems and event is not None,
        claim=_claim(event) if event is not None else "",
        problems=tuple(problems),
        notes=notes,
        event=event.sequence if event is not None else None,
        key_id=key.keyid,
    )


def _promotion(events: Sequence[AuditEvent], number: int) -> tuple[AuditEvent, RowsSeal]:
    event = events[number - 1] if 0 < number <= len(events) else None
    seal = seal_of(event) if event is not None else None
    if event is None or seal is None:
        known = [str(each.sequence) for each in events if seal_of(each) is not None]
        raise InputError(
            f"event {number}",
            "is no promotion that names its rows",
            f"one of {', '.join(known) or 'none so far'}",
        )
    return event, seal


def _counted(
    registry: Registry, events: Sequence[AuditEvent], event: AuditEvent, seal: RowsSeal
) -> list[CountedRow]:
    path = list_path(registry.chain.folder, seal.root)
    listed = read_list(path.read_bytes() if path.is_file() else b"", seal, str(path))
    agent = agent_of(events[: event.sequence - 1], event.agent_id, event.scope)
    policy = Policy.model_validate(seal.policy)
    present = counted_rows(registry, policy, agent, seal.packs, seal.exams, seal.tables)
    since = partial(is_recorded_since, registry.ledger, seal.read_at or event.at)
    found = compare_rows(listed, present, event.at, since)
    wrong = [each for each in found if each.is_tampering]
    if wrong:
        raise InputError(
            f"event {event.sequence}",
            f"{len(wrong)} rows are not as counted, the first: {wrong[0]}",
            "what `audit verify --evidence` finds intact",
        )
    return [row for row in present if row.place in listed]


def _statement(event: AuditEvent, seal: RowsSeal, files: dict[str, bytes]) -> dict[str, JsonValue]:
    return {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": name, "digest": {"sha256": hashlib.sha256(content).hexdigest()}}
            for name, content in files.items()
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "event": event.sequence,
            "digest": event.digest,
            "agent_id": event.agent_id,
            "from": event.from_level,
            "to": event.to_level,
            "by": event.by,
            "at": event.at.isoformat(),
            "rows": seal.root,
            "agent": event.evidence.get("agent"),
        },
    }


def _verifying_key(path: Path) -> "SSlibKey":
    from securesystemslib.signer import SSlibKey

    return SSlibKey.from_crypto(public_key_of(path))


def _opened(folder: Path, key: "SSlibKey", problems: list[str]) -> dict[str, Any] | None:
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import FormatError, VerificationError

    try:
        envelope = Envelope.from_dict(json.loads((folder / ENVELOPE).read_bytes()))
        envelope.verify([key], 1)
        statement = json.loads(envelope.payload)
        if not isinstance(statement, dict):
            raise FormatError("it holds no statement")
    except (VerificationError, FormatError, ValueError, KeyError, TypeError) as error:
        problems.append(f"{ENVELOPE}: was changed, or another key signed it: {error}")
        return None
    kind = (envelope.payload_type, statement.get("_type"), statement.get("predicateType"))
    if kind != (PAYLOAD_TYPE, STATEMENT_TYPE, PREDICATE_TYPE):
        problems.append(f"{ENVELOPE}: is a statement of another kind: {kind}")
        return None
    found: dict[str, Any] = statement
    return found


def _files(folder: Path, statement: dict[str, Any]) -> list[str]:
    stated = {item["name"]: item["digest"]["sha256"] for item in statement["subject"]}
    problems = []
    for name, mark in stated.items():
        path = folder / name
        if not path.is_file():
            problems.append(f"{name}: is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != mark:
            problems.append(f"{name}: was changed")
    extra = {path.name for path in folder.iterdir()} - {*stated, ENVELOPE}
    return problems + [f"{name}: was added" for name in sorted(extra)]


def _check_content(
    folder: Path, statement: dict[str, Any], problems: list[str]
) -> AuditEvent | None:
    try:
        events = _chain(folder / EVENTS)
        event, seal = _promotion(events, len(events))
        if event.digest != statement["predicate"]["digest"]:
            raise InputError(EVENTS, "ends with another event", "the promotion that was signed")
        rows = _rows(folder / ROWS)
        if root_of({row.place: row.digest for row in rows}) != seal.root:
            raise InputError(ROWS, "are not the rows that were counted", f"the root {seal.root}")
        problems += _recomputed(events, event, seal, rows)
    except (GrindstoneError, ValidationError, ValueError) as error:
        problems.append(str(error))
        return None
    return event


def _chain(path: Path) -> tuple[AuditEvent, ...]:
    events: list[AuditEvent] = []
    for line in path.read_bytes().splitlines(keepends=True):
        event = AuditEvent.model_validate_json(line)
        number = len(events) + 1
        fits = event.file() == line and digest_of(event) == event.digest
        follows = event.previous == (events[-1].digest if events else GENESIS)
        if not (fits and follows and event.sequence == number):
            raise InputError(f"{path.name}: event {number}", "does not hold", "an unbroken chain")
        events.append(event)
    return tuple(events)


def _rows(path: Path) -> list[CountedRow]:
    kinds = {table_of(row).name: row for row in TABLES}
    found = []
    for line in path.read_bytes().splitlines():
        (table, run_key, *_), content = json.loads(line)
        found.append(counted_row(kinds[table].model_validate(content), run_key))
    return found


def _recomputed(
    events: Sequence[AuditEvent], event: AuditEvent, seal: RowsSeal, rows: Sequence[CountedRow]
) -> list[str]:
    """Return which criteria the rows do not meet, or meet otherwise than the promotion says."""
    stated = Readiness.model_validate(_readiness_of(event))
    with tempfile.TemporaryDirectory(prefix="bundle-") as scratch:
        found = _assessed(Path(scratch), events, event, seal, rows)
    told = {item.name: item for item in stated.requirements}
    problems = [
        f"{item.name}: the rows say {item.observed} ({item.required})"
        for item in found
        if not item.met or told.get(item.name) != item
    ]
    return problems + [
        f"{name}: no criterion of the policy"
        for name in sorted(set(told) - {i.name for i in found})
    ]


def _readiness_of(event: AuditEvent) -> dict[str, Any]:
    found = event.evidence.get("readiness")
    if not isinstance(found, dict):
        raise InputError(f"event {event.sequence}", "holds no readiness", "a promotion")
    return {**found, "recommendation": event.reason}


def _assessed(
    home: Path,
    events: Sequence[AuditEvent],
    event: AuditEvent,
    seal: RowsSeal,
    rows: Sequence[CountedRow],
) -> tuple[Requirement, ...]:
    from grindstone.graduation.evidence import measure

    kinds = {table_of(row).name: row for row in TABLES}
    ledger = Ledger(home)
    batches: defaultdict[tuple[str, str], list[BaseModel]] = defaultdict(list)
    for row in rows:
        table, run_key = row.place[0], row.place[1]
        batches[table, run_key].append(kinds[table].model_validate(row.content))
    for (_, run_key), batch in batches.items():
        ledger.append(batch, run_key=run_key)
    agent = agent_of(events[:-1], event.agent_id, event.scope)
    policy, target = Policy.model_validate(seal.policy), event.to_level
    if target is None:
        raise InputError(f"event {event.sequence}", "names no level", "a promotion")
    step, tables = policy.step_to(target), measure.Tables.of(ledger)
    levels = {agent.agent_id: measure.Since(agent.level, agent.since)}
    names = [agent.agent_id]
    frame = measure.measure(
        tables, policy, levels, latest=step.considered, digests=seal.packs, agents=names
    )
    facts = measure.facts(tables, digests=seal.packs, agents=names)
    groups = measure.group_records(
        measure.in_scope(facts, policy, levels),
        {group.name: group.scope for group in step.groups},
        step.groups_min_episodes or step.min_episodes,
    )
    return assess(
        measure.records(frame).get(agent.agent_id) or Record(agent_id=agent.agent_id),
        policy,
        current=agent.level,
        target=target,
        groups={
            name: each[agent.agent_id] for name, each in groups.items() if agent.agent_id in each
        },
    ).requirements


def _claim(event: AuditEvent) -> str:
    before = event.from_level.value if event.from_level else "?"
    after = event.to_level.value if event.to_level else "?"
    return (
        f"{event.agent_id} was promoted from {before} to {after} by {event.by} on "
        f"{minute(event.at)} UTC (event {event.sequence}), and its rows meet every criterion"
    )


def _line(value: JsonValue) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"
