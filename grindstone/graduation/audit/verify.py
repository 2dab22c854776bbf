"""Whether the audit trail is what was written: every event, their order, their end.

What this can show: any change to any byte of any event, an event removed, added in between
or moved, and, against head.json and audit-end.json beside the folder, an end cut off or the
folder gone. What it cannot show by itself: a whole chain written anew, or an end cut off
together with both, by somebody who can write the home. For that something must lie outside
it: an exported page or report (it names the head), the digest given to `--anchor`, or a
checkpoint signed with a key that the writer does not have.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from pydantic import NonNegativeInt

from grindstone.base import Frozen
from grindstone.errors import InputError
from grindstone.graduation.audit.chain import Chain, Head, read_event
from grindstone.graduation.audit.event import GENESIS, AuditError, AuditEvent
from grindstone.graduation.audit.signing import check_checkpoints

NAME = re.compile(r"\d{6,}\.json")


class Verification(Frozen):
    """What a check of the chain found."""

    intact: bool
    events: NonNegativeInt
    head: Head
    problem: str = ""
    first_bad: str = ""
    notes: tuple[str, ...] = ()
    signed_up_to: NonNegativeInt = 0


def verify(
    chain: Chain, *, anchors: Sequence[Head] = (), public_key: Path | None = None
) -> Verification:
    """Check every event; the first that is not what was written is named.

    Args:
        chain: The trail.
        anchors: Ends of the chain noted earlier and kept elsewhere.
        public_key: PEM file; checkpoints must then exist and bear its signature.

    Raises:
        InfrastructureError: The storage of a remote home did not answer.
    """
    chain.bring()
    events: list[AuditEvent] = []
    try:
        _read_all(chain, events)
        head = chain.head()
        _check_head(chain, head, events)
        _check_end(chain, events)
        for anchor in anchors:
            _check_anchor(chain, anchor, events)
        signed = check_checkpoints(chain.folder, events, public_key)
    except AuditError as error:
        where = str(error).partition(": ")[0]
        return Verification(
            intact=False,
            events=len(events),
            head=_end(events),
            problem=str(error),
            first_bad=Path(where).name,
        )
    notes = []
    if head.sequence < len(events):
        notes.append(
            f"head.json names event {head.sequence}; the {len(events) - head.sequence} after it "
            "follow the chain, their writer ended before it noted them"
        )
    if public_key is not None and signed < len(events):
        notes.append(f"{len(events) - signed} events came after the last signed checkpoint")
    return Verification(
        intact=True,
        events=len(events),
        head=_end(events),
        notes=tuple(notes),
        signed_up_to=signed,
    )


def parse_anchor(text: str) -> Head:
    """Read an anchor such as `42:9f86d0…` (number and digest).

    Raises:
        InputError: It is none.
    """
    number, _, mark = text.partition(":")
    if not re.fullmatch("[0-9]{1,12}:[0-9a-f]{64}", text):
        raise InputError("--anchor", f"is {text!r}", "a number, a colon and 64 hex digits")
    return Head(sequence=int(number), digest=mark)


def _read_all(chain: Chain, events: list[AuditEvent]) -> None:
    names = (
        sorted(path.name for path in chain.folder.iterdir() if NAME.fullmatch(path.name))
        if chain.folder.is_dir()
        else []
    )
    for name in names:
        expected = chain.path(len(events) + 1)
        if name != expected.name:
            raise AuditError(f"{expected}: is missing; the next file there is {name}")
        events.append(read_event(expected, events[-1] if events else None))


def _check_head(chain: Chain, head: Head, events: list[AuditEvent]) -> None:
    if events and not chain.head_path.exists():
        raise AuditError(f"{chain.head_path}: is missing; expected the last event's digest")
    if head.sequence > len(events):
        raise AuditError(
            f"{chain.path(len(events) + 1)}: is missing: the end was cut off; head.json names "
            f"event {head.sequence}"
        )
    if head.digest != _digest_at(events, head.sequence):
        raise AuditError(f"{chain.head_path}: names another digest for event {head.sequence}")


def _check_end(chain: Chain, events: list[AuditEvent]) -> None:
    end = chain.end()
    if end.sequence > len(events):
        raise AuditError(
            f"{chain.path(len(events) + 1)}: is missing: {chain.end_path.name} beside the folder "
            f"names event {end.sequence}"
        )
    if end.digest != _digest_at(events, end.sequence):
        raise AuditError(f"{chain.end_path}: names another digest for event {end.sequence}")


def _check_anchor(chain: Chain, anchor: Head, events: list[AuditEvent]) -> None:
    if anchor.sequence > len(events):
        raise AuditError(
            f"{chain.path(len(events) + 1)}: is missing: the end was cut off; the anchor names "
            f"event {anchor.sequence}"
        )
    if anchor.digest != _digest_at(events, anchor.sequence):
        raise AuditError(
            f"{chain.path(anchor.sequence or 1)}: is not the event the anchor names; the chain "
            "was written anew up to there"
        )


def _digest_at(events: Sequence[AuditEvent], sequence: int) -> str:
    return events[sequence - 1].digest if sequence else GENESIS


def _end(events: Sequence[AuditEvent]) -> Head:
    return Head(sequence=len(events), digest=_digest_at(events, len(events)))
