"""A benchmark task in the Harbor / SkillsBench folder format.

<task_id>/
  instruction.md            what the agent is told
  task.toml                 limits, timeouts, metadata
  environment/Dockerfile    what the agent finds
  tests/test.sh             what decides; enters the sandbox after the agent stopped
  solution/solve.sh         optional; what the oracle runs
"""

from pathlib import Path

from pydantic import Field, JsonValue, NonNegativeFloat, PositiveFloat, PositiveInt

from grindstone.base import Frozen
from grindstone.sandbox.network.rules import NetworkRules
from grindstone.sandbox.protocol import Keep, Limits
from grindstone.text import fingerprint_of


class Artifact(Frozen):
    """A path of the agent's sandbox that a separate verifier finds at the same place."""

    source: str = Field(description="Absolute path of a file or folder inside.")
    exclude: tuple[str, ...] = Field(
        (), description="What of a folder stays behind, as tar's --exclude takes it."
    )


class Healthcheck(Frozen):
    """A command that must end with 0 before the agent begins; Docker's rules."""

    command: str
    interval_s: PositiveFloat = Field(5.0, description="Between two tries.")
    timeout_s: PositiveFloat = Field(30.0, description="Of one try.")
    start_period_s: NonNegativeFloat = Field(0.0, description="Failures in it do not count.")
    start_interval_s: PositiveFloat = Field(5.0, description="Between two tries in it.")
    retries: PositiveInt = Field(3, description="Failures in a row that are one too many.")


class CollectHook(Frozen):
    """A command that is run once the agent has ended, before anything of its is taken along."""

    command: str
    timeout_s: PositiveFloat = 60.0


class Task(Frozen):
    """One task, read and validated; `digest` is over everything but its place on disk."""

    task_id: str = Field(description="The folder's name.")
    path: Path
    digest: str = Field(description="SHA-256 over the folder's files.")
    environment_digest: str = Field(description="SHA-256 over environment/ alone.")
    twins: tuple[str, ...] = Field(
        (), description="Digests that the same task in other words has too, see `twins.py`."
    )
    instruction: str
    title: str = ""
    category: str = "uncategorized"
    difficulty: str = "unknown"
    tags: tuple[str, ...] = ()
    metadata: dict[str, JsonValue] = {}
    image: str | None = Field(None, description="A ready image named by task.toml.")
    limits: Limits = Limits()
    network: NetworkRules = Field(NetworkRules(), description="While the agent works.")
    agent_timeout_s: PositiveFloat = 900.0
    verifier_timeout_s: PositiveFloat = 900.0
    build_timeout_s: PositiveFloat = 600.0
    env: dict[str, str] = Field({}, description="Of the sandbox: agent and verifier see it.")
    workdir: str | None = Field(None, description="None: the image's own.")
    agent_env: dict[str, str] = {}
    verifier_env: dict[str, str] = {}
    solution_env: dict[str, str] = {}
    keep: Keep = Field(
        "nothing", description="What the agent left running that may run on beside the tests."
    )
    exposed: bool = Field(
        False, description="The tests seem to lend the agent's programs their rights."
    )
    separate_verifier: bool = Field(
        False, description="Grade in a fresh container that gets the agent's files only."
    )
    verifier_image: str | None = Field(None, description="A ready image of the separate verifier.")
    verifier_limits: Limits | None = Field(None, description="None: the agent's.")
    verifier_network: NetworkRules | None = Field(
        None, description="While the tests run; None: the agent's."
    )
    artifacts: tuple[Artifact, ...] = Field(
        (), description="What a separate verifier gets; none declared: the working folder."
    )
    collect: tuple[CollectHook, ...] = Field((), description="Run before the tests are.")
    healthcheck: Healthcheck | None = Field(None, description="Passed before the agent begins.")
    warnings: tuple[str, ...] = Field(
        (), description="What of task.toml has no effect, a sentence each."
    )

    @property
    def cluster(self) -> str:
        """The template or repository it was made of, which counts once; its own id where none.

        Tasks of one cluster share what makes them hard, so ten of them are no ten samples.
        """
        named = self.metadata.get("cluster") or self.metadata.get("collection")
        return str(named) if named else self.task_id

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the instruction's words: that of every copy, whatever its name and limits."""
        return fingerprint_of(self.instruction)

    @property
    def environment_dir(self) -> Path:
        """The Docker build context."""
        return self.path / "environment"

    @property
    def tests_dir(self) -> Path:
        """Laid at /tests, in a mount namespace of the verifier's own."""
        return self.path / "tests"

    @property
    def solution_dir(self) -> Path:
        """Laid at /solution for the oracle."""
        return self.path / "solution"

    @property
    def has_solution(self) -> bool:
        """Whether the oracle has something to run."""
        return (self.solution_dir / "solve.sh").is_file()
