"""The audit trail on disk: numbered files, each naming the digest of the one before.

    <home>/audit/000042.json     one event, canonical JSON, never changed
    <home>/audit/head.json       the last event's number and digest: tells a cut-off end
    <home>/audit-end.json        the same beside the folder: tells a folder that is gone

A number is claimed by creating its file, which fails when it exists, so that any number of
processes may append and the chain neither forks nor loses an event. Whoever loses a claim
decides again with the new event in view.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from filelock import FileLock
from pydantic import Field, NonNegativeInt, ValidationError

from grindstone.base import Frozen
from grindstone.digest import canonical_json
from grindstone.files import claim, write_atomic
from grindstone.graduation.audit.event import (
    GENESIS,
    AuditError,
    AuditEvent,
    EventDraft,
    digest_of,
    seal,
)
from grindstone.home import Home

Decide = Callable[[tuple[AuditEvent, ...]], EventDraft | None]
"""Makes an event in view of all earlier ones; None when there is nothing to say."""


class Head(Frozen):
    """The end of the chain."""

    sequence: NonNegativeInt = 0
    digest: str = Field(GENESIS, pattern=r"^[0-9a-f]{64}$")


class Chain:
    """The events of one home."""

    def __init__(self, home: Home | Path | str) -> None:
        self.folder = Home.at(home).audit
        self.end_path = Home.at(home).audit_end
        self._mirror = Home.at(home).mirror
        self._known: tuple[AuditEvent, ...] = ()
        self._lock = RLock()  # who decides may look at the events again

    def path(self, sequence: int) -> Path:
        """Return the file of an event."""
        return self.folder / f"{sequence:06d}.json"

    @property
    def head_path(self) -> Path:
        """Return the file that names the last event."""
        return self.folder / "head.json"

    def bring(self) -> None:
        """Have the files of a remote home's chain here, as storage has them.

        Raises:
            InfrastructureError: The storage did not answer.
        """
        if self._mirror is not None:
            self._mirror.refresh(self.end_path)
            self._mirror.pull(self.folder)

    def events(self) -> tuple[AuditEvent, ...]:
        """Return all events, in order.

        Raises:
            AuditError: An event is damaged or missing.
        """
        with self._lock:
            return self._read()

    def _read(self) -> tuple[AuditEvent, ...]:
        self.bring()
        # The head first: an event that comes after it was read is found by its file.
        head, end = self.head(), self.end()
        found = list(self._known)
        while (path := self.path(len(found) + 1)).exists():
            found.append(read_event(path, found[-1] if found else None))
        if len(found) < head.sequence:
            raise AuditError(
                f"{self.path(len(found) + 1)}: is missing; expected events up to "
                f"{head.sequence}, which head.json names"
            )
        if len(found) < end.sequence:
            raise AuditError(
                f"{self.path(len(found) + 1)}: is missing; expected events up to "
                f"{end.sequence}, which {self.end_path} names"
            )
        self._known = tuple(found)
        return self._known

    def end(self) -> Head:
        """Return what the file beside the folder says of the chain's end.

        Raises:
            AuditError: It cannot be read.
        """
        return self._noted(self.end_path)

    def head(self) -> Head:
        """Return what head.json says.

        Raises:
            AuditError: It cannot be read.
        """
        return self._noted(self.head_path)

    @staticmethod
    def _noted(path: Path) -> Head:
        try:
            return Head.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return Head()
        except OSError as error:
            raise AuditError(f"{path}: cannot be read: {error.strerror}") from error
        except ValidationError as error:
            raise AuditError(f"{path}: is damaged; expected a number and a digest") from error

    def keep(self, path: Path, content: bytes) -> bool:
        """Create a file of the chain's folder; return False where there is one of that name.

        Raises:
            InfrastructureError: The storage of a remote home did not take it.
        """
        create = claim if self._mirror is None else self._mirror.claim
        return create(path, content)

    def append(self, decide: Decide) -> AuditEvent | None:
        """Add one event.

        Args:
            decide: Called with all events so far, again whenever another writer was first;
                what it raises is raised.

        Returns:
            The event as it stands in the chain; None when there was nothing to say.
        """
        with self._lock:
            while True:
                events = self._read()
                draft = decide(events)
                if draft is None:
                    return None
                previous = events[-1].digest if events else GENESIS
                if events and draft.at < events[-1].at:
                    # A clock set back makes no level older than what it was taken for.
                    draft = draft.model_copy(update={"at": events[-1].at})
                event = seal(draft, sequence=len(events) + 1, previous=previous)
                if self.keep(self.path(event.sequence), event.file()):
                    self._advance(event)
                    self._known = (*events, event)
                    return event

    def _advance(self, event: AuditEvent) -> None:
        with self._head_locked():
            if self.head().sequence < event.sequence:
                head = Head(sequence=event.sequence, digest=event.digest)
                write = write_atomic if self._mirror is None else self._mirror.write
                write(self.head_path, canonical_json(head) + "\n")
                write(self.end_path, canonical_json(head) + "\n")

    @contextmanager
    def _head_locked(self) -> Iterator[None]:
        with FileLock(self.folder / ".head.lock"):
            yield


def read_event(path: Path, previous: AuditEvent | None) -> AuditEvent:
    """Read one event and hold it against its place.

    Raises:
        AuditError: It is not what was written there.
    """
    try:
        content = path.read_bytes()
        event = AuditEvent.model_validate_json(content)
    except OSError as error:
        raise AuditError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise AuditError(f"{path}: was changed: it is no event any more") from error
    if event.file() != content or digest_of(event) != event.digest:
        raise AuditError(f"{path}: was changed: its content does not have its digest")
    expected = previous.sequence + 1 if previous else 1
    if event.sequence != expected:
        raise AuditError(f"{path}: was reordered: it holds event {event.sequence}")
    if event.previous != (previous.digest if previous else GENESIS):
        raise AuditError(f"{path}: does not follow the event before it, which was replaced")
    return event
