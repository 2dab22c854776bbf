"""What a solver profile is: one function from a brief and a sandbox to a trajectory."""

from typing import Protocol

from pydantic import Field, PositiveFloat, PositiveInt

from grindstone.base import Frozen
from grindstone.llm.messages import Model
from grindstone.records import Trajectory
from grindstone.sandbox.protocol import Sandbox


class Effort(Frozen):
    """When an agent's turn ends, done or not."""

    max_steps: PositiveInt = 100
    time_limit_s: PositiveFloat = 900.0
    max_tokens: PositiveInt | None = Field(None, description="All tokens of the attempt.")
    max_output_tokens: PositiveInt = Field(8192, description="Of one answer.")
    command_timeout_s: PositiveFloat = Field(180.0, description="Unless the agent asks for less.")
    context_tokens: PositiveInt = Field(
        150_000, description="A conversation longer than this is summarised."
    )


class SkillCard(Frozen):
    """What an agent is told of a skill before it loads it."""

    name: str
    description: str
    path: str = Field(description="Its folder inside the sandbox.")


class Brief(Frozen):
    """Everything an agent is told."""

    episode_id: str = Field(description="Scope of its model calls.")
    task_id: str
    instruction: str
    system_prompt: str
    skills: tuple[SkillCard, ...] = ()
    solution_dir: str | None = Field(None, description="On the host; for the oracle alone.")
    solution_env: dict[str, str] = {}
    effort: Effort = Effort()


class Solver(Protocol):
    """A profile: strands, terminus2, terminus2_legacy, oracle, nop."""

    async def solve(self, brief: Brief, sandbox: Sandbox, model: Model | None) -> Trajectory:
        """Try the task once.

        The agent's mistakes end up in the trajectory; only infrastructure raises.
        """
        ...
