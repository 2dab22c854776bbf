"""Settings out of environment variables: which names are read, and telling that they were."""

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
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

NO_SETTINGS = frozenset(
    {
        *("BUILD_HOSTS", "CACHE_DIR", "DATABASE_URL", "PASS_ENV", "PATIENCE", "POOL", "PRICES"),
        *("BEGINS_S", "REHEARSAL_URL", "SERVER_HOME", "SWEEP_S"),
    }
)
"""What else is read with the prefix, by the engine or by other commands."""
_OF_OTHERS = re.compile(r"(KUBERNETES|DRILL|REQUIRE|TEST)_|.*_(SERVICE_(HOST|PORT)|PORT)(_|$)")
"""The cluster's, the tests', and what a cluster tells its pods of a service of our name."""


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


def unread_variables(fields: Collection[str], environ: Mapping[str, str]) -> Sequence[str]:
    """Return a sentence for each variable with the prefix that nothing reads.

    Args:
        fields: All settings there are, those of other commands too.
        environ: The environment.
    """
    known = {*map(str.upper, fields), *NO_SETTINGS}
    told = []
    for name in sorted(environ):
        rest = name.removeprefix(PREFIX)
        if rest == name or rest in known or not environ[name] or _OF_OTHERS.match(rest):
            continue
        near = difflib.get_close_matches(rest, known, n=1, cutoff=0.8)
        meant = f"; did you mean {PREFIX}{near[0]}?" if near else ""
        told.append(f"{name} is no setting's variable and has no effect{meant}")
    return told
