"""Competency, routing and graduation."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from grindstone.llm.providers import ModelId
from grindstone.settings.runs import RunSettings, Settings, WorkFolder, default_home


class CompetencySettings(RunSettings):
    """Scoring an agent's domains from the ledger, and training the weakest."""

    @property
    def changes_agent(self) -> bool:
        """See `RunSettings`."""
        return True

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
    held_out: float = Field(
        0.34,
        ge=0,
        lt=1,
        description="Share of a domain's tasks that a training is measured by and never trains on; "
        "of one task alone none.",
    )
    evolver_model_id: ModelId | None = Field(None, description="Empty: the solver's model.")


class RouteSettings(RunSettings):
    """Sending one task to the member that does its domain best."""

    task: str = Field("", description="What is to be done, or the id of a task in the folder.")
    member: list[str] = Field(
        [],
        title="Members",
        description="Agents to choose from, by id. Empty: all agents of the home.",
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
    strong_model_id: ModelId | None = Field(
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
    min_level: Literal["STUDENT", "INTERN", "SUPERVISED", "AUTONOMOUS"] = Field(
        "STUDENT",
        description="The level a member needs in the task's scope to go on alone; below it a "
        "person reviews the task.",
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


class FeedbackSettings(Settings):
    """A person's word on one piece of work: what was wrong in it, how good it was, or both."""

    work_dir: WorkFolder = Field(
        default_factory=default_home, description="Home of everything kept."
    )
    episode: str = Field("", description="The episode's id, or its beginning.")
    name: str = Field("", description="Your name; it goes into the trail.")
    field: str = Field("", description="What you correct, such as tax_rate. Empty: nothing.")
    original: str = Field("", description="What the agent gave.")
    correction: str = Field("", description="What is right.")
    reason: str = Field("", description="Why it is right.")
    stars: float | None = Field(None, ge=0, le=5, description="Of five. Empty: no rating.")
    comment: str = Field("", description="Why as many stars.")


class GraduationSettings(RunSettings):
    """Reviews, exams and promotions: who may act alone."""

    policies_dir: Path | None = Field(
        None, description="Folder of policies (*.yaml). Empty: the home's, else the bundled ones."
    )
    constitution_dir: Path | None = Field(
        None, description="Folder of rule packs (*.yaml). Empty: the home's, else the bundled."
    )
    agents: list[str] = Field([], description="Only these agents. Empty: all in a review.")
    target: Literal["INTERN", "SUPERVISED", "AUTONOMOUS"] | None = Field(
        None, description="Level asked about. Empty: the next one up."
    )
    scope: str | None = Field(
        None,
        description="Part of the work the level is for, as the agent's policy names it. Empty: "
        "the one its policy gives levels in.",
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
    tool_timeout_s: int = Field(
        600,
        ge=1,
        description="Seconds a call of a tool of live work may take, where the tool names no limit "
        "of its own, and the check of the work; then it is called off.",
    )
    judge_model_id: ModelId | None = Field(
        None, description="Model that decides judged rules. Empty: they stay undecided."
    )
    judge_agent: str | None = Field(
        None,
        description="A program of others that decides them, as a file says or by a bundled one's "
        "name; with the judge's model. Empty: the model decides.",
    )
    notify_block: str | None = Field(
        None,
        description="Saved Prefect notification block told of decisions, as in slack-webhook/ops.",
    )
    weekly: bool = Field(False, description="Tell of every agent, not only of what changed.")
    signing_key: Path | None = Field(
        None, description="ed25519 key (PEM) that signs the audit trail's end after a change."
    )
