"""Settings that were changed and can have no effect beside the others; a run says so.

They are no error: a form sends what was typed into it, and a saved block decides some of them.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from grindstone.agents.profiles import Profile
from grindstone.settings.autonomy import CompetencySettings, RouteSettings
from grindstone.settings.comparisons import CompareSettings, SearchOptions
from grindstone.settings.learning import AdaptiveSettings, GrindSettings
from grindstone.settings.runs import RunSettings
from grindstone.settings.words import SuccessMode

Learning = (GrindSettings, AdaptiveSettings)
_GATE = SearchOptions.model_fields.keys() - {"sealed_ratio", "split_seed"}


class IdleRule(NamedTuple):
    """Fields that do nothing in some runs."""

    fields: Sequence[str]
    kinds: tuple[type[RunSettings], ...]  # of settings
    where: Callable[[Any], bool]  # given such settings
    why: str  # ends a sentence


RULES = (
    IdleRule(
        sorted(_GATE), Learning, lambda s: s.holdout_ratio == 0, "holdout_ratio is 0: no gate"
    ),
    IdleRule(
        ["split_seed"],
        (GrindSettings,),
        lambda s: s.holdout_ratio == s.sealed_ratio == 0,
        "no task is held out or sealed",
    ),
    IdleRule(
        ["gate_second_looks"],
        Learning,
        lambda s: s.holdout_ratio > 0 and s.gate_rule != "higher",
        "gate_rule is not higher",
    ),
    IdleRule(["trials"], (GrindSettings,), lambda s: not s.compare, "compare is false"),
    IdleRule(
        ["selection"],
        (RunSettings,),
        lambda s: s.skill_select_limit == 0,
        "skill_select_limit is 0: all skills are offered",
    ),
    IdleRule(
        ["promotion_threshold"],
        (GrindSettings,),
        lambda s: s.success_mode is not SuccessMode.GATED_PROMOTION or not s.evolve_skills,
        "no draft is promoted: that takes success_mode gated_promotion and evolve_skills",
    ),
    IdleRule(
        ["distill"], (GrindSettings,), lambda s: not s.evolve_skills, "evolve_skills is false"
    ),
    IdleRule(
        ["max_skills", "max_skill_chars", "protect_skills", "solver_proposed"],
        (AdaptiveSettings,),
        lambda s: s.prompt_only or not s.evolve_skills,
        "no skill may change",
    ),
    IdleRule(
        ["judge_model_id", "judge_agent"],
        (AdaptiveSettings,),
        lambda s: not s.trajectory_only,
        "trajectory_only is false: verdicts stand in for a judge",
    ),
    IdleRule(
        ["feedback_level", "no_direct_answers"],
        (AdaptiveSettings,),
        lambda s: s.trajectory_only,
        "trajectory_only is true: the evolver sees no verdict, and nothing is known of the tests",
    ),
    IdleRule(
        ["slice_size", "max_slices"],
        (RunSettings,),
        lambda s: s.dispatch == "inline",
        "dispatch is inline",
    ),
    IdleRule(
        ["max_tokens", "context_tokens"],
        (RunSettings,),
        lambda s: s.native_profile is Profile.COMMAND or not s.native_profile.aided,
        "the agent is none of Grindstone's own loops",
    ),
    IdleRule(
        ["tasks_with_skills_dir"],
        (RunSettings,),
        lambda s: not s.use_skills and bool(s.tasks_dir or s.tasks_without_skills_dir),
        "use_skills is false",
    ),
    IdleRule(
        ["tasks_without_skills_dir"],
        (RunSettings,),
        lambda s: (
            s.use_skills and not (isinstance(s, CompareSettings) or getattr(s, "compare", False))
        ),
        "use_skills is true, and nothing is compared",
    ),
    IdleRule(
        ["held_out", "max_cycles", "evolver_model_id"],
        (CompetencySettings,),
        lambda s: s.train == "queue" or s.max_jobs == 0,
        "this run trains nothing",
    ),
    IdleRule(
        ["review_timeout_s"],
        (RouteSettings,),
        lambda s: s.approved_by is not None,
        "approved_by is given",
    ),
)


def idle(settings: RunSettings) -> tuple[str, ...]:
    """Return a sentence for each setting that is not its default and has no effect."""
    changed = {
        name
        for name, info in type(settings).model_fields.items()
        if getattr(settings, name) != info.get_default(call_default_factory=True)
    }
    return tuple(
        f"{name} has no effect: {rule.why}"
        for rule in RULES
        if isinstance(settings, rule.kinds) and rule.where(settings)
        for name in rule.fields
        if name in changed
    )
