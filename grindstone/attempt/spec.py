"""What is to be tried, small enough to travel, and its identity by content."""

from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue, NonNegativeInt, PositiveFloat, PositiveInt

from grindstone.agents.agent_file import AgentFile, load_agent, quick_agent
from grindstone.base import Frozen
from grindstone.digest import digest
from grindstone.llm.providers import REHEARSAL
from grindstone.records import Arm, Purpose
from grindstone.sandbox.protocol import DEFAULT_HEADROOM
from grindstone.sandbox.registry import Kind
from grindstone.settings import Profile, RunSettings, ScoreMode, Selection


def agent_of(settings: RunSettings) -> AgentFile | None:
    """Return the agent whose own program a run lets work, None where it is one of ours.

    Raises:
        InputError: There is none of that name, or its file is unusable.
    """
    if settings.agent is not None:
        return load_agent(settings.agent)
    if settings.agent_command is not None:
        return quick_agent(settings.agent_command)
    return None


def profile_name_of(profile: Profile, agent: AgentFile | None, plugin: str | None) -> str:
    """Return a profile's name, and whose program or code works where it is none of ours."""
    if profile is Profile.COMMAND and agent is not None:
        return f"{profile.value} {agent.label}"
    return f"{profile.value} {plugin}" if profile is Profile.CODE else profile.value


class SolverSettings(Frozen):
    """How the agent works: all of it takes part in an attempt's identity."""

    model_id: str
    region: str | None = None
    profile: Profile
    score_mode: ScoreMode
    sandbox: Kind
    max_tokens: PositiveInt = 16384
    max_steps: PositiveInt = 100
    context_tokens: PositiveInt = 150_000
    timeout_multiplier: PositiveFloat = 1.0
    skill_select_limit: NonNegativeInt = 0
    selection: Selection = Selection.KEYWORD
    verifier: Literal["task", "separate"] = "task"
    trust_disputed: bool = False
    memory_headroom: float = Field(DEFAULT_HEADROOM, ge=1.0)
    runtime: str | None = None
    agent: AgentFile | None = Field(None, description="Of the profile command.")
    plugin: str | None = Field(None, description="Of the profile code: where its solver is made.")
    with_skills: bool = Field(True, description="False: the control arm, no skill of any kind.")
    without_skill: str = Field("", description="The one general skill that is not offered.")

    @classmethod
    def of(cls, settings: RunSettings, *, model_id: str, sandbox: Kind) -> "SolverSettings":
        """Take what concerns one attempt out of a run's settings, with `auto` resolved."""
        return cls(
            model_id=model_id,
            region=settings.region,
            profile=settings.native_profile,
            score_mode=settings.score_mode,
            sandbox=sandbox,
            max_tokens=settings.max_tokens,
            max_steps=settings.max_steps,
            context_tokens=settings.context_tokens,
            timeout_multiplier=settings.timeout_multiplier,
            skill_select_limit=settings.skill_select_limit,
            selection=settings.selection,
            verifier=settings.verifier,
            trust_disputed=settings.trust_disputed,
            memory_headroom=settings.memory_headroom,
            runtime=settings.runtime,
            agent=agent_of(settings),
            plugin=settings.solver,
        )

    @property
    def profile_name(self) -> str:
        """The profile, and whose program or code works where it is none of ours."""
        return profile_name_of(self.profile, self.agent, self.plugin)

    @property
    def rehearsal(self) -> bool:
        """Whether the offline rehearsal server is the model."""
        return self.model_id == REHEARSAL

    def identity(self) -> dict[str, JsonValue]:
        """Return what takes part in an attempt's identity.

        A setting that came later is left out at its default, so that an older run's attempts
        are found again.
        """
        later = {
            *("context_tokens", "verifier", "trust_disputed", "memory_headroom", "runtime"),
            *("without_skill", "agent", "plugin"),
        }
        unset = later - self.model_dump(exclude_defaults=True).keys()
        return self.model_dump(mode="json", exclude=unset)


class AttemptSpec(Frozen):
    """One attempt to make.

    `home` and `task_dir` say where things are and take no part in the identity; the task's
    digest and the workspace's git tree do.
    """

    home: Path = Field(description="The ledger's, agents' and runs' folder.")
    run_key: str
    agent_id: str
    purpose: Purpose
    arm: Arm = Arm.NONE
    task_id: str
    task_dir: Path
    task_digest: str
    workspace_commit: str
    workspace_tree: str
    solver: SolverSettings
    trial: NonNegativeInt = 0
    cycle: NonNegativeInt = 0
    batch: NonNegativeInt = 0

    @property
    def label(self) -> str:
        """What a person reads of the attempt in a list of them."""
        parts = [self.task_id, self.arm, f"cycle {self.cycle}" if self.cycle else ""]
        return " · ".join(filter(None, [*parts, f"trial {self.trial}" if self.trial else ""]))

    @property
    def means(self) -> tuple[object, ...]:
        """Whose run it is part of, and whose code works at it, in what."""
        solver = self.solver
        code = (solver.profile, solver.agent, solver.plugin, solver.sandbox, solver.runtime)
        return (self.run_key, self.agent_id, *code)

    @property
    def cache_key(self) -> str:
        """What a step's stored result is found by."""
        return self.episode_id

    @property
    def content_key(self) -> str:
        """The same agent, task, settings and trial, in whatever run."""
        return digest(
            {
                "agent": self.agent_id,
                "task": self.task_id,
                "task_digest": self.task_digest,
                "tree": self.workspace_tree,
                "solver": self.solver.identity(),
                "trial": self.trial,
            }
        )

    @property
    def episode_id(self) -> str:
        """The attempt within its run: what its ledger rows and model calls are keyed by."""
        return digest(
            {
                "content": self.content_key,
                "run": self.run_key,
                "purpose": self.purpose.value,
                "arm": self.arm.value,
                "cycle": self.cycle,
            }
        )[:32]
