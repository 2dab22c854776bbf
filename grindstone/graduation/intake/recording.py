"""Bringing live work into the ledger: episodes, sessions, corrections, ratings."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import (
    Field,
    NonNegativeInt,
    TypeAdapter,
    ValidationError,
)

from grindstone.base import Frozen, PlainNumbers
from grindstone.digest import digest
from grindstone.errors import InputError
from grindstone.graduation.intake.fields import AgentId, EpisodeId, JsonFields, Moment
from grindstone.graduation.registry import Registry
from grindstone.graduation.rules.scope import Subject
from grindstone.home import Home
from grindstone.ledger.tables.attempts import (
    SkillUseRow,
    StepRow,
    TrajectoryRow,
    trajectory_rows,
)
from grindstone.ledger.tables.autonomy import InterventionRow, RatingRow
from grindstone.records import (
    Episode,
    FailureClass,
    Outcome,
    Purpose,
    Step,
    StepKind,
    StopReason,
    ToolCall,
    Trajectory,
)
from grindstone.remote.mirror import mirror_of

STARS = 5
MOST_CORRECTIONS = 1_000_000


class Edit(Frozen, PlainNumbers):
    """One correction a human made."""

    field: str
    original: str = ""
    correction: str = ""
    reason: str = ""
    corrected_by: str = ""
    timestamp: Moment | None = Field(None, description="Empty: when it is recorded.")


class RecordedAction(Frozen, PlainNumbers):
    """One thing the agent did or said."""

    tool: str = ""
    fields: JsonFields = {}
    text: str = ""
    at: Moment | None = None


class Rating(Frozen, PlainNumbers):
    """A person's rating."""

    rated_by: str = Field(min_length=1)
    stars: float = Field(ge=0, le=STARS, description="Of five.")
    comment: str = ""


class Work(Frozen, PlainNumbers):
    """An episode as whoever saw it tells it; the shape of an imported row."""

    agent_id: AgentId
    episode_id: EpisodeId = ""
    title: str = ""
    success: bool
    started_at: Moment
    ended_at: Moment | None = None
    description: str = ""
    topics: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    category: str = ""
    difficulty: str = ""
    metadata: JsonFields = {}
    actions: tuple[RecordedAction, ...] = ()
    skills: tuple[str, ...] = ()
    confidence: float | None = Field(None, ge=0.0, le=1.0)
    constitutional_score: float | None = Field(None, ge=0.0, le=1.0)
    human_intervention_count: NonNegativeInt | None = Field(
        None,
        le=MOST_CORRECTIONS,
        description="All corrections; the detailed ones in human_edits are among them.",
    )
    human_edits: tuple[Edit, ...] = ()
    ratings: tuple[Rating, ...] = ()
    maturity: Literal["", "STUDENT", "INTERN", "SUPERVISED", "AUTONOMOUS"] = ""
    verified_by: str = Field("", description="Who or what established `success`.")
    model: str = Field("", description="The model the agent ran with.")
    workspace_tree: str = Field("", description="git tree id of its workspace.")
    rehearsal: bool = Field(False, description="The offline stand-in played it.")

    @property
    def subject(self) -> Subject:
        """What it is about, as scopes look at it."""
        return Subject(self.category, self.tags, self.topics, self.title, self.metadata)


class Recorded(Frozen):
    """One piece of work as ledger rows."""

    episode: Episode
    trajectory: Trajectory | None
    edits: tuple[InterventionRow, ...]
    ratings: tuple[RatingRow, ...]
    uses: tuple[SkillUseRow, ...]


def rows_for(
    registry: Registry, work: Work, *, run_key: str, purpose: Purpose, now: datetime
) -> Recorded:
    """Return the rows of a piece of work; the same work gives the same rows."""
    content = work.model_dump(mode="json")
    key = work.episode_id or digest(content)[:32]
    ended = work.ended_at or work.started_at
    detailed = len(work.human_edits)
    counted = work.human_intervention_count
    metadata = dict(work.metadata)
    if work.description:
        metadata.setdefault("description", work.description)
    if work.verified_by:
        metadata["verified_by"] = work.verified_by
    held = registry.agent_for(work.agent_id, work.subject, work.started_at).level.value
    episode = Episode(
        episode_id=key,
        run_key=run_key,
        agent_id=work.agent_id,
        purpose=purpose,
        task_id=str(metadata.get("task_type") or work.category or "session"),
        category=work.category,
        difficulty=work.difficulty,
        tags=work.tags,
        title=work.title,
        model=work.model,
        workspace_tree=work.workspace_tree,
        rehearsal=work.rehearsal,
        topics=work.topics,
        metadata=metadata,
        outcome=Outcome.PASSED if work.success else Outcome.FAILED,
        reward=float(work.success),
        score=float(work.success),
        failure_class=FailureClass.NONE if work.success else FailureClass.TEST_FAIL,
        turns=len(work.actions),
        tool_calls=sum(bool(deed.tool) for deed in work.actions),
        maturity=work.maturity or held,
        confidence=work.confidence,
        constitutional_score=work.constitutional_score,
        human_intervention_count=max(0, (counted or 0) - detailed),
        started_at=work.started_at,
        ended_at=max(ended, work.started_at),
    )
    return Recorded(
        episode=episode,
        trajectory=_trajectory(work, now) if work.actions else None,
        edits=tuple(edit_row(episode, edit, now=ended) for edit in work.human_edits),
        ratings=tuple(rating_row(episode, rating, now=ended) for rating in work.ratings),
        uses=tuple(
            SkillUseRow(episode_id=key, skill=skill, selection_method="all", loaded=True)
            for skill in sorted(set(work.skills))
        ),
    )


def keep(registry: Registry, recorded: Sequence[Recorded], *, run_key: str) -> None:
    """Append rows; the episodes last, so that an episode has all its rows."""
    ends: list[TrajectoryRow] = []
    steps: list[StepRow] = []
    for item in recorded:
        if item.trajectory is not None:
            end, turns = trajectory_rows(item.episode.episode_id, item.trajectory)
            ends.append(end)
            steps += turns
    ledger = registry.ledger
    ledger.append(steps, run_key=run_key)
    ledger.append(ends, run_key=run_key)
    ledger.append([row for item in recorded for row in item.uses], run_key=run_key)
    ledger.append([row for item in recorded for row in item.edits], run_key=run_key)
    ledger.append([row for item in recorded for row in item.ratings], run_key=run_key)
    ledger.append([item.episode for item in recorded], run_key=run_key)


def live_run(agent_id: str, moment: datetime) -> str:
    """Return the run that an agent's live work of a month is kept in."""
    return f"live-{agent_id}-{moment:%Y%m}"


def edit_row(episode: Episode, edit: Edit, *, now: datetime) -> InterventionRow:
    """Return a correction's row; corrections that differ in anything are told apart."""
    at = edit.timestamp or now
    mark = digest(edit.model_dump(mode="json") | {"timestamp": at.isoformat()})
    return InterventionRow(
        episode_id=episode.episode_id,
        position=int(mark[:12], 16),
        agent_id=episode.agent_id,
        at=at,
        field=edit.field,
        original=edit.original,
        correction=edit.correction,
        reason=edit.reason,
        corrected_by=edit.corrected_by,
    )


def rating_row(episode: Episode, rating: Rating, *, now: datetime) -> RatingRow:
    """Return a rating's row: stars of five as a share."""
    return RatingRow(
        episode_id=episode.episode_id,
        rated_by=rating.rated_by,
        agent_id=episode.agent_id,
        said=now.isoformat(),
        rating=rating.stars / STARS,
        comment=rating.comment,
        at=now,
    )


def _trajectory(work: Work, now: datetime) -> Trajectory:
    steps: list[Step] = []
    for index, deed in enumerate(work.actions):
        call_id = f"call-{index}"
        calls = (
            (ToolCall(call_id=call_id, name=deed.tool, arguments=deed.fields),) if deed.tool else ()
        )
        text = deed.text or ("" if deed.tool or not deed.fields else json.dumps(deed.fields))
        steps.append(
            Step(
                index=index,
                kind=StepKind.AGENT,
                message=text,
                calls=calls,
                at=deed.at or work.started_at,
            )
        )
    return Trajectory(steps=tuple(steps), stop_reason=StopReason.SUBMITTED)


# Sessions: what happened, line by line, while it happened.


class SessionEnd(Frozen, PlainNumbers):
    """The line that closes a session: all of `Work` that was not told before."""

    type: Literal["end"]
    success: bool
    confidence: float | None = Field(None, ge=0.0, le=1.0)
    constitutional_score: float | None = Field(None, ge=0.0, le=1.0)
    topics: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    category: str = ""
    difficulty: str = ""
    metadata: JsonFields = {}
    skills: tuple[str, ...] = ()
    verified_by: str = ""
    at: Moment


class SessionAction(RecordedAction):
    """A line for what the agent did or said."""

    type: Literal["action"]
    at: Moment


class SessionEdit(Edit):
    """A line for a correction."""

    type: Literal["correction"]


class SessionRating(Rating):
    """A line for a rating."""

    type: Literal["rating"]


SessionLine = SessionAction | SessionEdit | SessionRating | SessionEnd
_LINE: TypeAdapter[SessionLine] = TypeAdapter(SessionLine)


def session_path(home: Home | Path | str, session_id: str) -> Path:
    """Return a session's file."""
    return Home.at(home).session(session_id)


def log_session(home: Home | Path | str, session_id: str, line: SessionLine) -> None:
    """Add a line to a session.

    Raises:
        InfrastructureError: The storage of a remote home did not take it.
    """
    path, text = session_path(home, session_id), line.model_dump_json() + "\n"
    if (mirror := mirror_of(path)) is not None:
        mirror.append(path, text.encode())
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def work_of_session(home: Home | Path | str, session_id: str, *, agent_id: str, title: str) -> Work:
    """Return a closed session as a piece of work.

    Raises:
        InputError: There is no such session, a line is none, or it has not ended.
        InfrastructureError: The storage of a remote home did not answer.
    """
    path = session_path(home, session_id)
    if (mirror := mirror_of(path)) is not None:
        mirror.refresh(path)
    if not path.is_file():
        raise InputError(str(path), "no such session", "lines written by log_session")
    lines: list[SessionLine] = []
    for number, text in enumerate(path.read_text("utf-8").splitlines(), start=1):
        try:
            lines.append(_LINE.validate_json(text))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise InputError(
                f"{path}:{number}", first["msg"], "action, correction, rating or end"
            ) from error
    ends = [line for line in lines if isinstance(line, SessionEnd)]
    if len(ends) != 1:
        raise InputError(str(path), f"has {len(ends)} lines of type end", "exactly one")
    deeds = [line for line in lines if isinstance(line, SessionAction)]
    end = ends[0]
    return Work(
        **end.model_dump(exclude={"type", "at", "metadata"}),
        agent_id=agent_id,
        episode_id=digest({"session": session_id, "agent": agent_id})[:32],
        title=title,
        started_at=min((deed.at for deed in deeds), default=end.at),
        ended_at=end.at,
        metadata={**end.metadata, "session_id": session_id},
        actions=tuple(RecordedAction(**deed.model_dump(exclude={"type"})) for deed in deeds),
        human_edits=tuple(
            Edit(**line.model_dump(exclude={"type"}))
            for line in lines
            if isinstance(line, SessionEdit)
        ),
        ratings=tuple(
            Rating(**line.model_dump(exclude={"type"}))
            for line in lines
            if isinstance(line, SessionRating)
        ),
    )
