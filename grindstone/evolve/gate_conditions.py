"""What a gate weighs a change on. A rejection holds for that, and lapses with it."""

from collections.abc import Iterable

from pydantic import ValidationError

from grindstone.base import Frozen
from grindstone.benchmark import Task
from grindstone.digest import canonical_json, digest


class GateConditions(Frozen):
    """Who attempts which tasks, and the rule that decides; kept with the rollback it led to."""

    run_key: str
    model: str
    profile: str
    tasks: str
    rule: str
    trials: int

    @property
    def told(self) -> str:
        """As the history keeps it."""
        return canonical_json(self)


def tasks_mark(tasks: Iterable[Task]) -> str:
    """Return what some tasks are known by: their contents, in whatever order."""
    return digest([*sorted(task.digest for task in tasks)])


def parse_conditions(text: str) -> GateConditions | None:
    """Return what a rollback says it was weighed on; None where it does not say."""
    try:
        return GateConditions.model_validate_json(text)
    except ValidationError:
        return None


def changed_since(
    then: GateConditions | None, now: GateConditions | None, *, other_library: bool
) -> str:
    """Return what has changed since a rejection, in words; empty where it still holds.

    Within one run a change is weighed once, although the library changes with each acceptance:
    what may be proposed until it has luck will have it. Where nothing is weighed now, or it is
    not known what was, it holds.

    Args:
        then: What the rejected change was weighed on.
        now: What it would be weighed on.
        other_library: Whether the workspace it was made in was another than the one there is.
    """
    if then is None or now is None or then.run_key == now.run_key:
        return ""
    found = [
        f"{what} changed ({before} before, {after} now)"
        for what, before, after in (
            ("the model", then.model, now.model),
            ("the profile", then.profile, now.profile),
            ("the gate's rule", then.rule, now.rule),
        )
        if before != after
    ]
    if now.trials > then.trials:
        found.append(f"a gate makes {now.trials} trials, not {then.trials}")
    if then.tasks != now.tasks:
        found.append("the held-out tasks changed")
    if other_library:
        found.append("the agent's files changed")
    return ", ".join(found)
