"""What earlier steps left: observations, results, and what was refused."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from grindstone.digest import SHORT, canonical_json, digest
from grindstone.errors import InputError
from grindstone.evolve.permissions import ANSWERS_RULE, RefusedChange
from grindstone.evolve.prompts import HISTORY, Observed
from grindstone.evolve.result import EvolutionResult
from grindstone.files import write_atomic
from grindstone.observe.observation import (
    LabelledObservation,
    UnlabelledObservation,
    parse_observation,
)
from grindstone.settings import FeedbackLevel
from grindstone.workspace.history import EvolutionRef
from grindstone.workspace.workspace import Workspace

TRAILER = "Result"
_LOG_ROWS = 20 * HISTORY
_REFUSALS_IN_COMMIT = 20


def earlier(workspace: Workspace, current: Sequence[Observed]) -> list[Observed]:
    """Return the last observations but the present ones, the oldest first.

    Where the present ones have no labels, labelled ones are left out; where they have, what an
    earlier run was told is lowered to what this one may know.
    """
    unlabelled = any(isinstance(seen, UnlabelledObservation) for seen in current)
    levels = [seen.feedback.level for seen in current if isinstance(seen, LabelledObservation)]
    level = min(levels, key=tuple(FeedbackLevel).index, default=FeedbackLevel.NONE)
    present = {seen.model_dump_json() for seen in current}
    found: list[Observed] = []
    for row in workspace.recent_observations(_LOG_ROWS):
        try:
            seen = parse_observation(canonical_json(row))
        except ValidationError:
            continue  # of another program, or of another version of this one
        if seen.model_dump_json() in present or (
            unlabelled and not isinstance(seen, UnlabelledObservation)
        ):
            continue
        found.append(seen.lowered(level) if isinstance(seen, LabelledObservation) else seen)
    return found[-HISTORY:]


def tellable(
    refusals: Sequence[RefusedChange], current: Sequence[Observed]
) -> tuple[RefusedChange, ...]:
    """Return the refusals of the step before that may be told: without labels, none from tests."""
    unlabelled = any(isinstance(seen, UnlabelledObservation) for seen in current)
    return tuple(each for each in refusals if not (unlabelled and each.rule == ANSWERS_RULE))


def trailers_of(result: EvolutionResult) -> dict[str, str]:
    """Return what the commit keeps of a result: all but the session."""
    short = {"trajectory": None, "refusals": result.refusals[:_REFUSALS_IN_COMMIT]}
    return {TRAILER: canonical_json(result.model_copy(update=short))}


def keep(workspace: Workspace, result: EvolutionResult) -> None:
    """Keep a result with its session beside the history."""
    write_atomic(_kept_path(workspace, result), result.model_dump_json())


def recall(workspace: Workspace, ref: EvolutionRef) -> EvolutionResult:
    """Return an evolution that the history holds, with its session where that was kept.

    Raises:
        InputError: The commit is no evolution of this engine.
    """
    text = workspace.repository.log("-1", ref.commit)[0].trailers.get(TRAILER.lower(), "")
    try:
        result = EvolutionResult.model_validate_json(text)
    except ValidationError as error:
        problem = "is no evolution made by this engine"
        raise InputError(f"commit {ref.commit[:SHORT]}", problem, "one that is") from error
    found: dict[str, object] = {"commit": ref.commit, "done_before": True}
    command_log_path(workspace, result.step, result.evo_number).unlink(missing_ok=True)
    path = _kept_path(workspace, result)
    if path.is_file():
        kept = EvolutionResult.model_validate_json(path.read_bytes())
        found |= {"trajectory": kept.trajectory, "refusals": kept.refusals}
    return result.model_copy(update=found)


def last_refusals(workspace: Workspace) -> tuple[RefusedChange, ...]:
    """Return what the engine's last evolution in the history refused."""
    for ref in reversed(workspace.evolutions()):
        with contextlib.suppress(InputError):  # a promotion, or made by hand
            return recall(workspace, ref).refusals
    return ()


def command_log_path(workspace: Workspace, step: str, number: int) -> Path:
    """Return the file in which an unfinished evolution's commands are remembered."""
    return _beside_history(workspace, step, number).with_suffix(".commands")


def _kept_path(workspace: Workspace, result: EvolutionResult) -> Path:
    return _beside_history(workspace, result.step, result.evo_number)


def _beside_history(workspace: Workspace, step: str, number: int) -> Path:
    return workspace.evolution_dir / "steps" / f"{digest([step, number])[:SHORT]}.json"
