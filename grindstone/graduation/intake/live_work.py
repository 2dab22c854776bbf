"""A live task as the piece of work that an episode is made of."""

from collections.abc import Sequence

from pydantic import JsonValue

from grindstone.graduation.intake.live import Answered, LiveResult, LiveToolbox
from grindstone.graduation.intake.recording import Edit, RecordedAction, Work
from grindstone.graduation.rules.people import NOBODY
from grindstone.records import utc_now


def finished_work(begun: Work, result: LiveResult, *, success: bool, verified: bool) -> Work:
    """Return a task that came to its end.

    Args:
        begun: What was known of it when it began.
        result: What came of it.
        success: Whether it was done.
        verified: Whether that was checked by something else than the agent.
    """
    metadata = begun.metadata | {
        "refused_calls": list(result.refused),
        "called_off": list(result.called_off),
        "offered": list(result.offered),
    }
    return begun.model_copy(
        update={
            "success": success,
            "ended_at": utc_now(),
            "actions": result.deeds
            or (RecordedAction(text=result.trajectory.submission or "(nothing)"),),
            "metadata": named_capability(metadata, result.capabilities),
            "human_edits": _edits(result.approvals),
            "confidence": result.confidence,
            "skills": result.skills,
            "verified_by": "check" if verified else "",
        }
    )


def cut_work(begun: Work, toolbox: LiveToolbox, error: BaseException) -> Work:
    """Return a task that an error, a spent budget or a lost level ended: it was not done."""
    cause = f"{type(error).__name__}: {error}"[:500]
    metadata: dict[str, JsonValue] = {
        **begun.metadata,
        "refused_calls": list(toolbox.refused),
        "called_off": list(toolbox.called_off),
        "ended_by": cause,
    }
    return begun.model_copy(
        update={
            "ended_at": utc_now(),
            "actions": (*done_so_far(toolbox), RecordedAction(text=f"(ended by {cause})")),
            "metadata": named_capability(metadata, tuple(toolbox.capabilities)),
            "human_edits": _edits(toolbox.approvals),
        }
    )


def done_so_far(toolbox: LiveToolbox) -> tuple[RecordedAction, ...]:
    """Return what was said and done in a task that did not come to its end."""
    return tuple(sorted((*toolbox.said, *toolbox.deeds), key=lambda each: each.at or utc_now()))


def named_capability(metadata: dict[str, JsonValue], used: Sequence[str]) -> dict[str, JsonValue]:
    """Name the capability where the work names none itself and its actions used a single one."""
    if metadata.get("capability") or len(used) != 1:
        return metadata
    return metadata | {"capability": used[0]}


def _edits(approvals: Sequence[Answered]) -> tuple[Edit, ...]:
    """Return refusals as corrections: a person who refuses an action corrects the agent.

    An answer that nobody gave in time corrects nothing.
    """
    return tuple(
        Edit(field="action", reason=each.reason, corrected_by=each.by)
        for each in approvals
        if not each.approved and each.by not in NOBODY
    )
