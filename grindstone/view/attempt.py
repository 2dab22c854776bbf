"""One attempt: why it ended as it did, its conversation in lines, and its steps in full."""

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from grindstone.agents.skill_use import loading_steps
from grindstone.errors import InputError
from grindstone.graduation.audit.remarks import remarks_on
from grindstone.ledger import Ledger
from grindstone.ledger.recall import Recalled, recall, rows_of, steps_between
from grindstone.ledger.tables.attempts import JudgeVerdictRow
from grindstone.llm.journal import Journal
from grindstone.observe.calls import Call, calls_of
from grindstone.observe.feedback import Feedback, build_feedback
from grindstone.observe.narrative import seconds_of
from grindstone.observe.signals import LOOP
from grindstone.records import Episode, Role, Step, StepKind, StopReason, Trajectory
from grindstone.report.atif import to_atif
from grindstone.settings import FeedbackLevel
from grindstone.text import shorten
from grindstone.view.documents import (
    AttemptDocument,
    CallsDocument,
    RepeatedCommand,
    SkillLoad,
    StepsDocument,
    TurnLine,
    WholeAttempt,
)
from grindstone.view.runs import attempt_lines

if TYPE_CHECKING:
    from pydantic import JsonValue

CHUNK = 50
"""Steps that are sent at once."""

TITLE_CHARS = 160
SHOWN_CHARS = 40_000
"""Of one output; the download has all of it."""

_NOTHING = Trajectory(steps=(), stop_reason=StopReason.SUBMITTED)
"""What is shown as done of an attempt that left no trajectory."""


def find_episode(ledger: Ledger, start: str) -> Episode:
    """Return the one attempt whose id is given, or begins so.

    Raises:
        InputError: There is none, or more than one.
    """
    import polars as pl

    own = pl.col("episode_id")
    found = ledger.scan(Episode).filter(own.str.starts_with(start)).select("episode_id", "run_key")
    rows = found.head(2).collect().rows()
    rows = [row for row in rows if row[0] == start] or rows
    if len(rows) != 1 or not start:
        problem = "fits several attempts" if rows else "is no attempt of this home"
        raise InputError(start, problem, "an attempt's id")
    [episode] = rows_of(ledger, Episode, rows[0][1], {rows[0][0]})
    return episode


def attempt_document(ledger: Ledger, episode_id: str, level: FeedbackLevel) -> AttemptDocument:
    """Return an attempt without the text of its steps.

    Args:
        ledger: The home's.
        episode_id: The attempt, or the start of its id.
        level: How much of the verifier's word the reader may see.

    Raises:
        InputError: There is no such attempt.
    """
    import polars as pl

    episode = find_episode(ledger, episode_id)
    key = episode.episode_id
    same_task = ledger.scan(Episode, episode.run_key).filter(pl.col("task_id") == episode.task_id)
    beside = attempt_lines(ledger, same_task, episode.run_key)
    at = next(i for i, line in enumerate(beside) if line.episode_id == key)
    seen = _recalled(ledger, episode)
    trajectory = seen.trajectory if seen else _NOTHING
    calls = calls_of(trajectory)
    repeated = _repeated(calls)
    uses = seen.uses if seen else ()
    loads = [
        SkillLoad(skill=use.skill, steps=loading_steps(trajectory, use.skill))
        for use in uses
        if use.loaded
    ]
    errors = tuple(sorted({call.step for call in calls if call.failed}))
    judged = rows_of(ledger, JudgeVerdictRow, episode.run_key, {key})
    return AttemptDocument(
        attempt=beside[at],
        level=level.value,
        feedback=_feedback(episode, seen, level) if seen else None,
        evidence=episode.evidence,
        error_detail=episode.error_detail,
        judge=judged[0] if judged else None,
        stop_reason=episode.stop_reason,
        submission=trajectory.submission,
        skills=uses,
        loads=tuple(load for load in loads if load.steps),
        first_error=errors[0] if errors else None,
        errors=errors,
        repeated=repeated,
        turns=_turns(trajectory.steps, calls, loads, repeated),
        chunk=CHUNK,
        previous=beside[at - 1].episode_id if at else None,
        following=beside[at + 1].episode_id if at + 1 < len(beside) else None,
        workspace_commit=episode.workspace_commit,
        profile=episode.profile,
        remarks=remarks_on(ledger, [key]),
    )


def steps_document(ledger: Ledger, episode_id: str, chunk: int) -> StepsDocument:
    """Return one chunk of an attempt's steps; very long outputs are cut in their middle.

    Raises:
        InputError: There is no such attempt.
    """
    episode = find_episode(ledger, episode_id)
    first, key = chunk * CHUNK, episode.episode_id
    steps = steps_between(ledger, episode.run_key, key, first, first + CHUNK)
    cut = 0
    shown = []
    for step in steps:
        outputs = []
        for output in step.outputs:
            content = shorten(output.content, SHOWN_CHARS)
            cut += max(0, len(output.content) - len(content))
            outputs.append(output.model_copy(update={"content": content}))
        shown.append(step.model_copy(update={"outputs": tuple(outputs)}))
    return StepsDocument(episode_id=episode.episode_id, steps=tuple(shown), cut=cut)


def calls_document(ledger: Ledger, episode_id: str) -> CallsDocument:
    """Return the raw answers of an attempt's model.

    Raises:
        InputError: There is no such attempt.
    """
    episode = find_episode(ledger, episode_id)
    journal = Journal(ledger.home.run(episode.run_key).journal)
    calls = journal.answers(Role.SOLVER, episode.episode_id)
    return CallsDocument(episode_id=episode.episode_id, calls=tuple(calls))


def whole_document(ledger: Ledger, episode_id: str, level: FeedbackLevel) -> WholeAttempt:
    """Return all that is kept of an attempt, for a file.

    Raises:
        InputError: There is no such attempt.
    """
    episode = find_episode(ledger, episode_id)
    seen = _recalled(ledger, episode)
    return WholeAttempt(
        episode=episode,
        trajectory=seen.trajectory if seen else None,
        feedback=_feedback(episode, seen, level) if seen else None,
        skills=seen.uses if seen else (),
    )


def atif_document(ledger: Ledger, episode_id: str) -> "dict[str, JsonValue]":
    """Return an attempt in Harbor's format.

    Raises:
        InputError: There is no such attempt, or it has no trajectory.
    """
    episode = find_episode(ledger, episode_id)
    seen = _recalled(ledger, episode)
    if seen is None:
        raise InputError(episode.episode_id, "has no trajectory", "an attempt with a score")
    return to_atif(episode, seen.trajectory)


def _recalled(ledger: Ledger, episode: Episode) -> Recalled | None:
    """Return what an attempt left beside its episode; None where it has no score."""
    return next(iter(recall(ledger, episode.run_key, [episode.episode_id])), None)


def _feedback(episode: Episode, seen: Recalled, level: FeedbackLevel) -> Feedback:
    return build_feedback(
        seen.verdict,
        level=level,
        task_id=episode.task_id,
        category=episode.category,
        failure_class=episode.failure_class,
    )


def _repeated(calls: list[Call]) -> tuple[RepeatedCommand, ...]:
    counts = Counter(call.command for call in calls if call.command)
    steps: defaultdict[str, list[int]] = defaultdict(list)
    for call in calls:
        if counts[call.command] >= LOOP:
            steps[call.command].append(call.step)
    return tuple(
        RepeatedCommand(command=command, steps=tuple(dict.fromkeys(at)))
        for command, at in steps.items()
    )


def _turns(
    steps: tuple[Step, ...],
    calls: list[Call],
    loads: list[SkillLoad],
    repeated: tuple[RepeatedCommand, ...],
) -> tuple[TurnLine, ...]:
    of_step: defaultdict[int, list[Call]] = defaultdict(list)
    for call in calls:
        of_step[call.step].append(call)
    loaded_at: defaultdict[int, list[str]] = defaultdict(list)
    for load in loads:
        for index in load.steps:
            loaded_at[index].append(load.skill)
    loops = {each.command for each in repeated}
    lines: list[TurnLine] = []
    previous, asked = None, 0
    for step in steps:
        own = of_step[step.index]
        answers = step.kind is StepKind.AGENT and step.usage is not None
        usage = step.usage
        lines.append(
            TurnLine(
                index=step.index,
                kind=step.kind.value,
                title=_title(step, own),
                seconds=seconds_of(step, previous),
                tokens_in=None if usage is None else usage.total_tokens - usage.output_tokens,
                tokens_out=None if usage is None else usage.output_tokens,
                exit_codes=tuple(o.exit_code for o in step.outputs if o.exit_code is not None),
                failed=any(call.failed for call in own),
                timed_out=any(output.timed_out for output in step.outputs),
                loads=tuple(loaded_at[step.index]),
                repeats=tuple(dict.fromkeys(c.command for c in own if c.command in loops)),
                call=asked if answers else None,
            )
        )
        asked += answers
        previous = step
    return tuple(lines)


def _title(step: Step, calls: list[Call]) -> str:
    text = calls[0].command if calls else " ".join(step.message[: 2 * TITLE_CHARS].split())
    return text if len(text) <= TITLE_CHARS else text[: TITLE_CHARS - 1] + "…"
