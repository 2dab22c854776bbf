"""What an evolution may be given to learn from, brought to one form: observations."""

from collections.abc import Awaitable, Mapping, Sequence
from inspect import isawaitable
from typing import Protocol, runtime_checkable

from pydantic import JsonValue, ValidationError

from grindstone.digest import canonical_json
from grindstone.errors import InputError
from grindstone.evolve.config import EvolveConfig
from grindstone.evolve.prompts import Observed
from grindstone.observe.observation import LabelledObservation, parse_observation
from grindstone.settings import FeedbackLevel


@runtime_checkable
class Observable(Protocol):
    """An attempt that can tell of itself, such as what `SkillBenchAgent.solve` returns."""

    def observation(self, level: FeedbackLevel) -> LabelledObservation:
        """Return the attempt with as much of its verdict as a level lets through."""
        ...


Attempt = Observed | Observable | Mapping[str, JsonValue]
ObservationLog = Attempt | Awaitable[Attempt]
"""An observation; an attempt that can tell of itself; an observation's fields, as
`evolution/observations.jsonl` holds them; or the promise of one of these."""

_DEFAULTS: dict[str, JsonValue] = {
    "category": "uncategorized",
    "trajectory": "",
    "signals": {
        **dict.fromkeys(("n_turns", "n_tool_calls", "n_errors", "n_timeouts"), 0),
        "tools_used": {},
        "repeated_commands": [],
        "submitted": False,
        "submission": "",
        "error_snippets": [],
    },
}
"""What a dictionary may leave out."""


async def observations_of(
    logs: Sequence[ObservationLog], config: EvolveConfig
) -> tuple[Observed, ...]:
    """Return the observations that some logs hold, without labels where those are not wanted.

    Raises:
        InputError: One of them is no observation, or both kinds are given.
    """
    found: list[Observed] = []
    for place, log in enumerate(logs):
        where = f"observation_logs[{place}]"
        given = await log if isawaitable(log) else log
        seen = _observation(given, where, config.feedback_level)
        if config.trajectory_only and isinstance(seen, LabelledObservation):
            seen = seen.unlabelled()
        found.append(seen)
    if len({seen.kind for seen in found}) > 1:
        raise InputError(
            "observation_logs", "mixes labelled and unlabelled observations", "one kind"
        )
    return tuple(found)


def _observation(given: object, where: str, level: FeedbackLevel) -> Observed:
    if isinstance(given, Observed):
        return given
    if isinstance(given, Observable):
        return given.observation(level)
    if isinstance(given, Mapping):
        return _from_fields(given, where)
    raise InputError(
        where,
        f"is a {type(given).__name__}",
        "an observation, what SkillBenchAgent.solve returns, or an observation's fields",
    )


def _from_fields(fields: Mapping[str, JsonValue], where: str) -> Observed:
    kind = "labelled" if fields.get("feedback") is not None else "unlabelled"
    try:
        return parse_observation(canonical_json({"kind": kind, **_DEFAULTS, **fields}))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"][1:])
        expected = "task_id, instruction and trajectory; with labels feedback too"
        raise InputError(f"{where}.{field}", first["msg"].lower(), expected) from error
    except (TypeError, ValueError) as error:
        raise InputError(where, f"is not plain JSON: {error}", "an observation's fields") from error
