"""An episode while it is written: fields are set and corrections appended, then it is kept.

What the ledger holds does not change. An open episode is a note of what is to be added to it: a
new piece of work, or corrections of one that is there.
"""

from datetime import datetime
from typing import Any
from uuid import uuid4

from pydantic import ConfigDict, Field, ValidationError

from grindstone.base import PlainNumbers
from grindstone.errors import InputError
from grindstone.graduation.intake.fields import Moment
from grindstone.graduation.intake.recording import Edit, Work
from grindstone.ledger.tables.autonomy import InterventionRow
from grindstone.records import Episode, utc_now

COUNTED = "(counted, not detailed)"
"""The field of a correction that was counted and not described."""


class OpenEpisode(PlainNumbers):
    """A piece of work as it is being told; `GraduationService.keep_episode` keeps it."""

    model_config = ConfigDict(validate_assignment=True, extra="forbid")

    id: str = Field(default_factory=lambda: uuid4().hex)
    agent_id: str = ""
    title: str = ""
    description: str = ""
    success: bool = False
    started_at: Moment = Field(default_factory=utc_now)
    ended_at: Moment | None = None
    topics: list[str] = []
    tags: list[str] = []
    category: str = ""
    metadata: dict[str, Any] = {}
    confidence: float | None = Field(None, ge=0.0, le=1.0)
    constitutional_score: float | None = Field(
        None, ge=0.0, le=1.0, description="As stated; of a kept episode the checks say it."
    )
    human_intervention_count: int = Field(
        0, ge=0, description="All corrections, those in human_edits among them."
    )
    human_edits: list[dict[str, Any]] = Field(
        [], description="As `Edit`: field, original, correction, reason, corrected_by, timestamp."
    )

    @classmethod
    def of(cls, episode: Episode, edits: list[InterventionRow]) -> "OpenEpisode":
        """Return a kept episode, to be corrected."""
        kept = [
            Edit(timestamp=row.at, **row.model_dump(include=set(Edit.model_fields)))
            for row in sorted(edits, key=lambda row: row.at)
        ]
        return cls(
            id=episode.episode_id,
            agent_id=episode.agent_id,
            title=episode.title,
            description=str(episode.metadata.get("description") or ""),
            success=bool(episode.passed),
            started_at=episode.started_at,
            ended_at=episode.ended_at,
            topics=list(episode.topics),
            tags=list(episode.tags),
            category=episode.category,
            metadata=dict(episode.metadata),
            confidence=episode.confidence,
            constitutional_score=episode.constitutional_score,
            human_intervention_count=episode.human_intervention_count + len(kept),
            human_edits=[edit.model_dump() for edit in kept],
        )

    def edits(self) -> list[Edit]:
        """Return the corrections that are described.

        Raises:
            InputError: One of them is no correction.
        """
        found = []
        for number, given in enumerate(self.human_edits):
            when = given.get("timestamp")
            if isinstance(when, str):
                when = datetime.fromisoformat(when)
            if isinstance(when, datetime) and when.tzinfo is None:
                when = when.astimezone()
            try:
                found.append(Edit.model_validate({**given, "timestamp": when}))
            except ValidationError as error:
                first = error.errors(include_url=False)[0]
                where = f"human_edits[{number}].{'.'.join(map(str, first['loc']))}"
                raise InputError(where, first["msg"], "a correction, as `Edit` has it") from error
        return found

    def edits_since(self, known: "OpenEpisode") -> list[Edit]:
        """Return the corrections that another note of the same episode lacks.

        Those that were counted and not described are told apart by their number.

        Raises:
            InputError: One of them is no correction.
        """
        before = known.edits()
        fresh = [edit for edit in self.edits() if not any(_is(edit, each) for each in before)]
        more = self.human_intervention_count - known.human_intervention_count - len(fresh)
        first = known.human_intervention_count + 1
        return fresh + [Edit(field=COUNTED, reason=f"no. {first + n}") for n in range(more)]

    def as_work(self) -> Work:
        """Return it as a new piece of work.

        Raises:
            InputError: It names no agent, or a correction is none.
        """
        if not self.agent_id:
            raise InputError("agent_id", "is empty", "the agent whose work it was")
        plain = self.model_dump(exclude={"id", "human_edits", "human_intervention_count"})
        edits = tuple(self.edits())
        count = max(self.human_intervention_count, len(edits))
        return Work(**plain, episode_id=self.id, human_edits=edits, human_intervention_count=count)


def _is(edit: Edit, kept: Edit) -> bool:
    """Tell whether a correction is one that is kept; without a time any time fits."""
    timed = kept if edit.timestamp else kept.model_copy(update={"timestamp": None})
    return edit == timed
