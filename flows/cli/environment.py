"""Settings out of environment variables: which names are read, and telling that they were."""

from collections.abc import Mapping
from typing import NamedTuple

PREFIX = "GRINDSTONE_"
PLAIN = frozenset(
    {
        *("max_cycles", "batch_size", "max_workers", "limit", "task_ids", "use_skills", "distill"),
        *("evolve_skills", "evolve_memory", "evolve_prompts", "evolve_tools"),
        *("feedback_level", "no_direct_answers", "task_skill_mode", "skill_select_limit"),
        *("success_mode", "promotion_threshold", "model_id", "evolver_model_id"),
        *("native_profile", "score_mode", "seed_workspace"),
    }
)
"""Fields that the SkillForge document sets by their plain names, `MAX_CYCLES=5`. Other systems use
such names too, so nothing else is read without the prefix, and what was read is told."""


class Variable(NamedTuple):
    """A variable that is set."""

    name: str
    value: str

    @property
    def told(self) -> str:
        """How the first line tells of it."""
        proper = "" if self.name.startswith(PREFIX) else f" ({PREFIX}{self.name} is its name)"
        return f"{self.name}={self.value}{proper}"


def variable_names(field: str) -> tuple[str, ...]:
    """Return the variables that set a field, the one that wins first."""
    name = field.upper()
    return (PREFIX + name, name) if field in PLAIN else (PREFIX + name,)


def variable_of(field: str, environ: Mapping[str, str]) -> Variable | None:
    """Return the variable that sets a field; one that is empty sets nothing."""
    for name in variable_names(field):
        if environ.get(name):
            return Variable(name, environ[name])
    return None
