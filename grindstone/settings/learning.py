"""Learning: what the evolver may change, the grind, learning without labels."""

from collections.abc import Collection
from typing import Any, Self

from pydantic import Field, model_validator

from grindstone.agents.profiles import Profile
from grindstone.errors import InputError
from grindstone.llm.providers import ModelId
from grindstone.resources import bundled
from grindstone.settings.comparisons import SearchOptions
from grindstone.settings.runs import PROFILE_HELP, RunSettings, Settings
from grindstone.settings.words import FeedbackLevel, SuccessMode, TaskSkillMode

EVOLVER_AGENT = (
    "A program of others that evolves, as a file says or by a bundled one's name; with the "
    "evolver's model. Empty: our own loop."
)
JUDGE_AGENT = (
    "A program of others that judges, as a file says or by a bundled one's name; with the judge's "
    "model. Empty: the judge is a model."
)
EVOLVED_LAYERS = ("skills", "memory", "prompts", "tools")


class EvolveScope(Settings):
    """What the evolver may change; enforced on what it wrote."""

    evolve_skills: bool = Field(True, description="May create, change and delete skills.")
    evolve_memory: bool = Field(False, description="May change memory files.")
    evolve_prompts: bool = Field(False, description="May change the system prompt.")
    evolve_tools: bool = Field(False, description="May create tools.")
    protect_skills: bool = Field(False, description="Existing skills are read-only.")
    prompt_only: bool = Field(False, description="Only the system prompt may change.")
    max_skills: int | None = Field(
        None, ge=0, description="At this many skills only refinement is allowed. Empty: no budget."
    )
    no_direct_answers: bool = Field(
        True, description="Skills holding expected values or test source are refused."
    )
    max_skill_chars: int | None = Field(
        None, ge=200, description="Longest SKILL.md accepted. Empty: the format's own limit."
    )

    @property
    def allows_anything(self) -> bool:
        """Whether an evolver could change anything at all."""
        return any((self.evolve_skills, self.evolve_memory, self.evolve_prompts, self.evolve_tools))

    def __and__(self, layers: Collection[str]) -> Self:
        """Return the scope without what lies outside some layers of a workspace."""
        withheld = {f"evolve_{layer}" for layer in EVOLVED_LAYERS if layer not in layers}
        return self.model_copy(update=dict.fromkeys(withheld, False))

    @property
    def allows_skills(self) -> bool:
        """Whether the library may change at all, whoever writes: evolver, success or shortening."""
        return self.evolve_skills and not self.prompt_only

    @model_validator(mode="after")
    def _prompt_only_is_consistent(self) -> Self:
        _prompts_may_change(self)
        return self


class IntegrityOptions(Settings):
    """How a run measures whether its scores can be forged."""

    impossible: int = Field(
        0,
        ge=0,
        le=1000,
        description="Attempts that the run makes besides, at copies of its tasks that nobody can "
        "solve: what passes there was forged. They count in no rate.",
    )


class ConfirmOptions(Settings):
    """How sure a run is that a failure was the agent's before it learns from it."""

    confirm_failures: int = Field(
        1,
        ge=0,
        le=10,
        description="Times that a failure which looks like its surroundings' (network, time-outs, "
        "a service that is down) is tried again in a fresh sandbox before it teaches.",
    )


class AdaptiveSettings(RunSettings, SearchOptions, IntegrityOptions, ConfirmOptions):
    """Learn without labels: attempt, judge, evolve under a budget, weigh on holdout tasks."""

    @property
    def changes_agent(self) -> bool:
        """See `RunSettings`."""
        return True

    trajectory_only: bool = Field(
        True, description="Judge and evolver see behaviour alone, no reward, test or pass."
    )
    max_skills: int = Field(5, ge=0, description="Skill budget: at it, skills are only refined.")
    evolve_skills: bool = Field(True, description="Evolver may create, change, delete skills.")
    evolve_prompts: bool = Field(True, description="Evolver may change the system prompt.")
    evolve_memory: bool = Field(True, description="Evolver may change memory files.")
    protect_skills: bool = Field(False, description="Existing skills are read-only.")
    solver_proposed: bool = Field(
        False, description="The solver drafts skills for the evolver to generalise."
    )
    prompt_only: bool = Field(False, description="Only the system prompt may change.")
    batch_size: int = Field(10, ge=1, description="Tasks per evolution cycle.")
    holdout_ratio: float = Field(
        0.2, ge=0, lt=1, description="Share of the tasks reserved for the gate. 0: no gate."
    )
    egl_threshold: float = Field(0.05, ge=0, description="EGL below this counts as stable.")
    egl_window: int = Field(3, ge=1, description="Cycles in a row that must be stable.")
    max_cycles: int = Field(10, ge=1, description="The run ends after so many cycles at most.")
    max_skill_chars: int = Field(2000, ge=200, description="Longest SKILL.md accepted.")
    judge_model_id: ModelId | None = Field(None, description="Empty: the solver's model.")
    judge_agent: str | None = Field(None, description=JUDGE_AGENT)
    evolver_model_id: ModelId | None = Field(None, description="Empty: the solver's model.")
    evolver_agent: str | None = Field(None, description=EVOLVER_AGENT)
    feedback_level: FeedbackLevel = Field(
        FeedbackLevel.TESTS, description="What the evolver sees when trajectory_only is off."
    )
    no_direct_answers: bool = Field(
        True,
        description="With labels: refuse skills that hold expected values or test source.",
    )
    native_profile: Profile = Field(Profile.STRANDS, description=PROFILE_HELP)

    def scope(self) -> EvolveScope:
        """Return what the evolver may change."""
        return EvolveScope(**{name: getattr(self, name) for name in _ADAPTIVE_SCOPE})

    def require_judge(self, field: str) -> None:
        """Make sure that attempts are judged.

        Raises:
            InputError: They are not, so what `field` asks of the judge cannot be had.
        """
        if not self.trajectory_only:
            problem = "there is no judge, as trajectory_only is false"
            raise InputError(field, problem, "trajectory_only, or nothing of the judge")

    @model_validator(mode="after")
    def _scope_is_consistent(self) -> Self:
        _prompts_may_change(self)
        return self


def _prompts_may_change(scope: EvolveScope | AdaptiveSettings) -> None:
    if scope.prompt_only and not scope.evolve_prompts:
        raise ValueError("prompt_only: is true, evolve_prompts is false; expected both to be true")


_ADAPTIVE_SCOPE = EvolveScope.model_fields.keys() & AdaptiveSettings.model_fields.keys()


class GrindSettings(RunSettings, SearchOptions, IntegrityOptions, ConfirmOptions):
    """The grind cycle: solve, fail, evolve, retry."""

    @property
    def changes_agent(self) -> bool:
        """See `RunSettings`."""
        writes = (self.task_skill_mode is not TaskSkillMode.OFF, self.distill)
        learns = self.success_mode is not SuccessMode.OFF or self.scope().allows_anything
        return self.native_profile.aided and (learns or any(writes))

    max_cycles: int = Field(3, ge=1, description="Solve-evolve-retry cycles per task.")
    batch_size: int = Field(1, ge=1, description="Tasks per evolution; 1: evolve after each.")
    evolve_skills: bool = Field(True, description="Evolver may create, change, delete skills.")
    evolve_memory: bool = Field(False, description="Evolver may change memory files.")
    evolve_prompts: bool = Field(False, description="Evolver may change the system prompt.")
    evolve_tools: bool = Field(False, description="Evolver may create tools.")
    distill: bool = Field(
        False, description="After an evolution, rewrite skills over 200 lines or 6,000 bytes."
    )
    feedback_level: FeedbackLevel = Field(
        FeedbackLevel.TESTS, description="How much verifier feedback the evolver sees."
    )
    no_direct_answers: bool = Field(
        True, description="Refuse skills that hold expected values or test source."
    )
    task_skill_mode: TaskSkillMode = Field(
        TaskSkillMode.PRE_GENERATE_AND_RETRY,
        description="off; retry_only: on failure; pre_generate_and_retry: before it too.",
    )
    success_mode: SuccessMode = Field(
        SuccessMode.GATED_PROMOTION,
        description="What a first-attempt pass teaches: off, draft_only, gated_promotion.",
    )
    promotion_threshold: int = Field(1, ge=1, description="Tasks that must support a draft.")
    evolver_model_id: ModelId | None = Field(None, description="Empty: the solver's model.")
    evolver_agent: str | None = Field(None, description=EVOLVER_AGENT)
    egl_threshold: float = Field(0.05, ge=0, description="EGL below this counts as stable.")
    egl_window: int = Field(3, ge=1, description="Cycles in a row that must be stable.")
    compare: bool = Field(False, description="Afterwards, run with against without the skills.")
    trials: int = Field(1, ge=1, description="Trials per task in a comparison.")
    holdout_ratio: float = Field(
        0.0, ge=0, lt=1, description="Share of the tasks reserved for the gate. 0: no gate."
    )

    def scope(self) -> EvolveScope:
        """Return what the evolver may change."""
        return EvolveScope(
            evolve_skills=self.evolve_skills,
            evolve_memory=self.evolve_memory,
            evolve_prompts=self.evolve_prompts,
            evolve_tools=self.evolve_tools,
            no_direct_answers=self.no_direct_answers,
        )


def _among_bundled(schema: dict[str, Any]) -> None:
    """Have a form offer the bundled tasks."""
    places = bundled("examples/tasks").glob("*/task.toml")
    schema["enum"] = sorted(place.parent.name for place in places)
    del schema["default"]


class OneTaskSettings(GrindSettings):
    """A grind of one attempt that teaches nothing."""

    task: str = Field(
        "",
        description="A bundled task. Empty: the first in Tasks dir, or of those under Which tasks.",
        json_schema_extra=_among_bundled,
    )
    limit: int | None = Field(1, ge=0, description="At most this many tasks. 0: all.")
    max_cycles: int = Field(1, ge=1, description="Solve-evolve-retry cycles per task.")
    evolve_skills: bool = Field(False, description="Evolver may create, change, delete skills.")
    task_skill_mode: TaskSkillMode = Field(TaskSkillMode.OFF, description="As in a grind.")
    success_mode: SuccessMode = Field(SuccessMode.OFF, description="As in a grind.")

    @property
    def grind(self) -> GrindSettings:
        """The grind that is meant."""
        given = self.model_dump(exclude={"task"})
        return GrindSettings(**given | ({"task_ids": [self.task]} if self.task else {}))
