"""Attempts of a run that travel together to a worker, as they are sent and read there."""

from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    TypeAdapter,
    ValidationError,
)

from grindstone import __version__
from grindstone.attempt.spec import AttemptSpec
from grindstone.base import Frozen
from grindstone.runs.allowance import Allowance
from grindstone.tasks.versions import EARLIER

DEPLOYMENT = "slice/slice"
"""The deployment attempts are sent to when they run on a work pool."""


class AttemptSlice(Frozen):
    """Attempts of one run that travel together, with what a worker needs to make them.

    `version` is the sender's Grindstone: workers of any other refuse the slice.
    """

    attempts: tuple[AttemptSpec, ...]
    allowance: Allowance
    version: str = __version__
    address: str | None = None  # of a remote home: each machine has places of its own

    @property
    def label(self) -> str:
        """What a person reads of the slice in a list of runs."""
        first = self.attempts[0]
        others = len(self.attempts) - 1
        return f"{first.run_key} · {first.label}" + (f" and {others} more" if others else "")


class ForeignSlice(BaseModel):
    """A slice of another version, of which no more is known than where to say so."""

    model_config = ConfigDict(extra="allow")

    attempts: tuple[dict[str, JsonValue], ...] = ()
    version: str = EARLIER
    address: str | None = None

    @property
    def label(self) -> str:
        """What a person reads of the slice in a list of runs."""
        return f"a slice by Grindstone {self.version}"


def _with_version(work: object) -> object:
    return {"version": EARLIER, **work} if isinstance(work, dict) else work


def _written_as(work: "AttemptSlice | ForeignSlice") -> "AttemptSlice | ForeignSlice":
    if work.version == __version__:
        return work
    return ForeignSlice.model_validate(work.model_dump(mode="json"))


SentSlice = Annotated[
    AttemptSlice | ForeignSlice,
    Field(union_mode="left_to_right"),
    BeforeValidator(_with_version),
    AfterValidator(_written_as),
]
"""What a deployment run is sent: a slice of this version, or one that is refused."""


def own_slice(sent: object) -> AttemptSlice | None:
    """Return a slice from what was sent; None where another version of Grindstone did."""
    try:
        work = TypeAdapter[AttemptSlice | ForeignSlice](SentSlice).validate_python(sent)
    except ValidationError:
        return None
    return work if isinstance(work, AttemptSlice) else None
