"""What a user may set, validated once at the edge; every field says what it does.

The field descriptions are what the Prefect form, `--help` and the docs show. Defaults
are those of the documents' tables.
"""

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Ratio = Annotated[float, Field(ge=0.0, le=1.0)]


class FeedbackLevel(StrEnum):
    """How much of the verifier's word the evolver sees."""

    NONE = "none"
    SCORE = "score"
    TESTS = "tests"
    MASKED = "masked"
    FULL = "full"


class Profile(StrEnum):
    """How the solver talks to its sandbox."""

    TERMINUS2 = "terminus2"
    TERMINUS2_LEGACY = "terminus2_legacy"
    STRANDS = "strands"
    ORACLE = "oracle"
    NOP = "nop"


class ScoreMode(StrEnum):
    """How a reward becomes a score."""

    REWARD = "reward"
    BINARY = "binary"
    DUAL = "dual"


class TaskSkillMode(StrEnum):
    """When a task gets a skill of its own."""

    OFF = "off"
    RETRY_ONLY = "retry_only"
    PRE_GENERATE_AND_RETRY = "pre_generate_and_retry"


class SuccessMode(StrEnum):
    """What a first-attempt pass teaches."""

    OFF = "off"
    DRAFT_ONLY = "draft_only"
    GATED_PROMOTION = "gated_promotion"


class Selection(StrEnum):
    """How skills are chosen when not all are offered."""

    KEYWORD = "keyword"
    SEMANTIC = "semantic"


def title(name: str, _: object = None) -> str:
    """Return a field's name as a form shows it."""
    words = name.replace("_usd", " (USD)").replace("_", " ").replace("egl", "EGL")
    return words[0].upper() + words[1:]


def default_home() -> Path:
    """Return the folder in GRINDSTONE_WORK_DIR, which workers are given, or the usual one."""
    return Path(os.environ.get("GRINDSTONE_WORK_DIR") or "evolution_workdir")


class Settings(BaseModel):
    """Base of all settings: unknown fields are refused, values never change."""

    model_config = ConfigDict(frozen=True, extra="forbid", field_title_generator=title)


class RunSettings(Settings):
    """What every run that attempts tasks needs."""

    tasks_dir: Path | None = Field(
        None, description="Folder of task folders. Empty: the bundled example tasks."
    )
    category: list[str] = Field([], description="Only tasks of these categories.")
    difficulty: list[str] = Field([], description="Only tasks of these difficulties.")
    task_ids: list[str] = Field([], description="Only these tasks.")
    limit: int | None = Field(None, ge=1, description="At most this many tasks.")
    use_skills: bool = Field(
        False, description="Use the task variants that ship skills of their own."
    )
    tasks_with_skills_dir: Path | None = Field(
        None, description="Tasks that ship skills. Empty: tasks_dir, with whatever skills it has."
    )
    tasks_without_skills_dir: Path | None = Field(
        None, description="The same tasks without. Empty: made by leaving the skills out."
    )
    work_dir: Path = Field(default_factory=default_home, description="Home of everything kept.")
    agent_id: str = Field(
        "skillbench", pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", description="Whose workspace evolves."
    )
    seed_workspace: Path | None = Field(
        None, description="Starting workspace for a new agent. Empty: the bundled one."
    )
    run_key: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$",
        description="The same key again resumes that run. Empty: a new key is made.",
    )
    model_id: str = Field(
        "auto",
        description="Solver model: claude-… (Anthropic), us.anthropic.… (Bedrock), claude-…@… "
        "(Vertex), rehearsal (offline). auto: the best with the credentials found.",
    )
    region: str | None = Field(None, description="Cloud region for Bedrock and Vertex.")
    max_tokens: int = Field(16384, ge=1, description="Output tokens of one model answer.")
    native_profile: Profile = Field(Profile.TERMINUS2, description="Solver profile.")
    score_mode: ScoreMode = Field(
        ScoreMode.DUAL, description="reward: partial; binary: all or nothing; dual: the larger."
    )
    sandbox: Literal["auto", "docker", "bubblewrap"] = Field(
        "auto", description="Where tasks run. auto: Docker when it answers, else bubblewrap."
    )
    max_workers: int = Field(1, ge=1, le=64, description="Attempts that run at once.")
    max_steps: int = Field(100, ge=1, description="Steps of one attempt.")
    timeout_multiplier: float = Field(1.0, gt=0, description="Scales every task's timeouts.")
    max_cost_usd: float | None = Field(
        None, gt=0, description="The run ends before it spends more."
    )
    max_tokens_total: int | None = Field(
        None, ge=1, description="The run ends before it uses more tokens."
    )
    rehearsal_price_as: str | None = Field(
        None,
        description="Price a rehearsal's tokens as this Claude model's: what a run would cost.",
    )
    skill_select_limit: int = Field(
        0, ge=0, description="Skills offered per task. 0: all; N: the N most relevant."
    )
    selection: Selection = Field(Selection.KEYWORD, description="How relevance is measured.")
    dispatch: Literal["inline", "deployment"] = Field(
        "inline", description="inline: attempts run in this process; deployment: on a work pool."
    )


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

    @model_validator(mode="after")
    def _prompt_only_is_consistent(self) -> Self:
        if self.prompt_only and not self.evolve_prompts:
            raise ValueError("prompt_only needs evolve_prompts to be true")
        return self


class GateOptions(Settings):
    """How a change is weighed on tasks it was not learned from."""

    gate_rule: Literal["no_regression", "improvement", "threshold"] = Field(
        "no_regression",
        description="no_regression: rejected when shown to be worse; improvement: accepted only "
        "when shown to be better; threshold: accepted when the mean reaches gate_threshold.",
    )
    gate_alpha: float = Field(
        0.05, gt=0, lt=0.5, description="Level of the exact paired test: its share of errors."
    )
    gate_threshold: Ratio = Field(
        0.0, description="Under every rule, a mean score below this is rejected."
    )
    gate_trials: int = Field(1, ge=1, le=100, description="Attempts per holdout task and arm.")
    gate_on_cannot_tell: Literal["accept", "reject", "accept_unless_lower"] = Field(
        "accept_unless_lower",
        description="What follows when so few tasks cannot be evidence of anything.",
    )
    gate_early_stop: bool = Field(
        True, description="Stop once no remaining attempt could change the verdict."
    )
    split_seed: int = Field(42, description="Chooses the holdout tasks, by category.")


class GateSettings(RunSettings, GateOptions):
    """Weigh one state of a workspace against another on the same tasks."""

    agent_id: str = Field(
        "terminal", pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", description="Whose workspace is weighed."
    )
    baseline: str | None = Field(
        None, description="Tag or commit before the change. Empty: before the last evolution."
    )
    candidate: str = Field("HEAD", description="Tag or commit after the change.")
    holdout_ratio: float | None = Field(
        None, gt=0, lt=1, description="Share of the tasks that is held out. Empty: all of them."
    )
    roll_back: bool = Field(
        True, description="When the candidate is the present state and is rejected, restore."
    )


class CalibrateSettings(GateSettings):
    """Gates whose right answer is known: the same state twice, and a handicapped one."""

    repeats: int = Field(10, ge=1, description="Gates of each kind; each makes attempts anew.")
    handicap: float = Field(
        0.5, gt=0, le=1, description="Share of the candidate's attempts that do nothing, in A/B."
    )


class AdaptiveSettings(RunSettings, GateOptions):
    """Learn without labels: attempt, judge, evolve under a budget, weigh on holdout tasks."""

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
    judge_model_id: str | None = Field(None, description="Empty: the solver's model.")
    evolver_model_id: str | None = Field(None, description="Empty: the solver's model.")
    feedback_level: FeedbackLevel = Field(
        FeedbackLevel.TESTS, description="What the evolver sees when trajectory_only is off."
    )
    no_direct_answers: bool = Field(
        True,
        description="With labels: refuse skills that hold expected values or test source.",
    )
    agent_id: str = Field(
        "terminal", pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$", description="Whose workspace evolves."
    )
    native_profile: Profile = Field(
        Profile.STRANDS, description="Solver profile; strands reads skills on demand."
    )

    def scope(self) -> EvolveScope:
        """Return what the evolver may change."""
        return EvolveScope(**{name: getattr(self, name) for name in _ADAPTIVE_SCOPE})

    @model_validator(mode="after")
    def _scope_is_consistent(self) -> Self:
        self.scope()
        return self


_ADAPTIVE_SCOPE = EvolveScope.model_fields.keys() & AdaptiveSettings.model_fields.keys()


class GrindSettings(RunSettings):
    """The grind cycle: solve, fail, evolve, retry."""

    max_cycles: int = Field(3, ge=1, description="Solve-evolve-retry cycles per task.")
    batch_size: int = Field(1, ge=1, description="Tasks per evolution; 1: evolve after each.")
    evolve_skills: bool = Field(True, description="Evolver may create, change, delete skills.")
    evolve_memory: bool = Field(False, description="Evolver may change memory files.")
    evolve_prompts: bool = Field(False, description="Evolver may change the system prompt.")
    evolve_tools: bool = Field(False, description="Evolver may create tools.")
    distill: bool = Field(False, description="Rewrite skills over 200 lines or 6,000 bytes.")
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
    evolver_model_id: str | None = Field(None, description="Empty: the solver's model.")
    egl_threshold: float = Field(0.05, ge=0, description="EGL below this counts as stable.")
    egl_window: int = Field(3, ge=1, description="Cycles in a row that must be stable.")
    compare: bool = Field(False, description="Afterwards, run with against without the skills.")
    trials: int = Field(1, ge=1, description="Trials per task in a comparison.")

    def scope(self) -> EvolveScope:
        """Return what the evolver may change."""
        return EvolveScope(
            evolve_skills=self.evolve_skills,
            evolve_memory=self.evolve_memory,
            evolve_prompts=self.evolve_prompts,
            evolve_tools=self.evolve_tools,
            no_direct_answers=self.no_direct_answers,
        )


class CompareSettings(RunSettings):
    """The same tasks and trials with an agent's skills and without any."""

    trials: int = Field(1, ge=1, description="Attempts per task in each arm.")


class CompetencySettings(RunSettings):
    """Scoring an agent's domains from the ledger, and training the weakest."""

    base: float = Field(10.0, gt=0, le=1e9, description="Upper end of the competency scale.")
    domains: list[str] = Field(
        [], description="Domains to score. Empty: those of the tasks chosen."
    )
    domains_by: Literal["category", "tags"] = Field(
        "category", description="What a task's domain is: its category, or each of its tags."
    )
    dependency: list[Annotated[str, Field(pattern=r"^[^:=]+:[^:=]+=[0-9.eE+-]+$")]] = Field(
        [], description="Weights of pairs of domains, as in sql:python=0.4."
    )
    default_weight: float = Field(1.0, ge=0, description="Weight of the pairs not listed.")
    target_index: float = Field(
        0.95, ge=0, le=1, description="While the index is below it, training is ordered."
    )
    max_jobs: int = Field(1, ge=0, description="Training jobs ordered at most.")
    deficit_threshold: float = Field(
        1.0, ge=0, description="Domains closer to the base than this are left alone."
    )
    min_episodes: int = Field(3, ge=1, description="Fewer attempts in a domain are too few.")
    prior_strength: float = Field(
        2.0, gt=0, description="Attempts that the assumption of an even chance weighs."
    )
    half_life_days: float | None = Field(
        None, gt=0, description="Days after which an attempt weighs half. Empty: all weigh alike."
    )
    probe: bool = Field(
        True, description="Attempt the tasks of domains with too few attempts before scoring."
    )
    train: Literal["inline", "deployment", "queue"] = Field(
        "inline",
        description="inline: jobs are run at once; deployment: by a work pool; queue: later.",
    )
    job_kind: Literal["grind", "adapt"] = Field("grind", description="How a job trains.")
    trials: int = Field(
        1, ge=1, description="Attempts per task when a domain is probed, before and after training."
    )
    max_cycles: int = Field(3, ge=1, description="Cycles of a training run.")
    evolver_model_id: str | None = Field(None, description="Empty: the solver's model.")


class RouteSettings(RunSettings):
    """Sending one task to the member that does its domain best."""

    task: str = Field("", description="What is to be done, or the id of a task in the folder.")
    member: list[str] = Field(
        [], description="Agents to choose from, by id. Empty: all agents of the home."
    )
    base: float = Field(10.0, gt=0, le=1e9, description="Upper end of the competency scale.")
    domains: list[str] = Field([], description="Empty: the categories of the tasks in the folder.")
    domain: str | None = Field(None, description="The task's domain, where it is known.")
    keywords: list[Annotated[str, Field(pattern=r"^[^=]+=.+$")]] = Field(
        [], description="Words that tell a domain, as in sql=select,join. Empty: the tasks' tags."
    )
    classifier: bool = Field(
        True, description="Ask a model for the domain when tags and keywords do not tell."
    )
    min_confidence: float = Field(
        0.6, ge=0, le=1, description="A guess less sure than this is not taken."
    )
    check: str | None = Field(
        None,
        description="Shell command that says whether free text was done (exit code 0). "
        "Without it, free text is routed and not run.",
    )
    environment_dir: Path | None = Field(
        None, description="Folder with a Dockerfile that free text runs in. Empty: plain Python."
    )
    strong_model_id: str | None = Field(
        None, description="Model for tasks whose member has a high deficit."
    )
    exploration: float = Field(
        0.0, ge=0, le=1, description="Share of the base that members without evidence get ahead."
    )
    allow_escalated: bool = Field(
        False, description="Run a task although nobody is good enough at it."
    )
    approved_by: str | None = Field(
        None, description="Who has reviewed the task already. Empty: a review pauses for a person."
    )
    review_timeout_s: int = Field(
        3600, ge=1, description="Seconds a review waits; after that it counts as declined."
    )
    prior_strength: float = Field(
        2.0, gt=0, description="Attempts that the assumption of an even chance weighs."
    )
    half_life_days: float | None = Field(
        None, gt=0, description="Days after which an attempt weighs half. Empty: all weigh alike."
    )


class GraduationSettings(RunSettings):
    """Reviews, exams and promotions: who may act alone."""

    policies_dir: Path | None = Field(
        None, description="Folder of policies (*.yaml). Empty: the bundled ones."
    )
    constitution_dir: Path | None = Field(
        None, description="Folder of rule packs (*.yaml). Empty: the bundled ones."
    )
    agents: list[str] = Field([], description="Only these agents. Empty: all in a review.")
    target: Literal["INTERN", "SUPERVISED", "AUTONOMOUS"] | None = Field(
        None, description="Level asked about. Empty: the next one up."
    )
    cases: list[str] = Field(
        [], description="Edge cases of an exam, by id. Empty: all that the agent's policy names."
    )
    validated_by: str = Field("", description="The human who answers for a promotion.")
    ask: bool = Field(
        False, description="Pause for a person's answer in the Prefect UI before promoting."
    )
    approval_timeout_s: int = Field(
        86_400, ge=1, description="Seconds an approval is waited for; then it counts as refused."
    )
    judge_model_id: str | None = Field(
        None, description="Model that decides judged rules. Empty: they stay undecided."
    )
    notify_block: str | None = Field(
        None,
        description="Saved Prefect notification block told of decisions, as in slack-webhook/ops.",
    )
    weekly: bool = Field(False, description="Tell of every agent, not only of what changed.")
    signing_key: Path | None = Field(
        None, description="ed25519 key (PEM) that signs the audit trail's end after a change."
    )
