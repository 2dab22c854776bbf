"""What task.toml may say: the Harbor format, its older spellings included.

Unknown keys are ignored, as Harbor ignores them, unless they may be misspelled limits (see
`unknown_keys`); known keys of the wrong type are not.
Keys that ask for something Grindstone cannot provide (GPUs, several steps, MCP servers,
Windows) are refused: running such a task without it would give
scores that mean nothing.
"""

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveFloat,
    StrictBool,
    StrictStr,
    model_validator,
)

from grindstone.benchmark.task import Artifact
from grindstone.sandbox.network.rules import NetworkMode, NetworkRules

_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[KMGT]?)I?B?", re.IGNORECASE)
_MB_PER_UNIT = {"": 1.0, "K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0 * 1024}

_A_SIZE = "a size such as '2G', '512M' or a number of MB"


def parse_size_mb(value: object) -> int:
    """Return mebibytes for 2048, "512M", "2G", "1.5 GiB".

    A number without a unit is in MB, as in `memory_mb`. Harbor refuses one in `memory`;
    other systems took it for bytes.

    Raises:
        ValueError: Not a size, or less than one MB.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"is {value!r}; expected {_A_SIZE}")  # noqa: TRY004
    text = str(value).strip()
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"is {value!r}; expected {_A_SIZE}")
    size = float(match["number"]) * _MB_PER_UNIT[match["unit"].upper()]
    if size < 1:
        raise ValueError(f"is {value!r}; expected at least 1 MB")
    return int(size)


def _a_number(value: object) -> object:
    if isinstance(value, bool | str):
        raise ValueError(f"is {value!r}; expected a number")  # noqa: TRY004 -- pydantic reports ValueErrors
    return value


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"is {value}; expected a finite number")
    return value


def _scalar_text(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


SizeMb = Annotated[int, BeforeValidator(parse_size_mb)]
Number = Annotated[PositiveFloat, BeforeValidator(_a_number), AfterValidator(_finite)]
EnvText = Annotated[StrictStr, BeforeValidator(_scalar_text)]
EnvName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Env = dict[EnvName, EnvText]
AllowedHost = Annotated[StrictStr, AfterValidator(NetworkRules.check_host)]
AbsolutePath = Annotated[StrictStr, Field(pattern=r"^/")]


_NETWORKS: Mapping[str, NetworkMode] = {
    "public": "public",
    "bridge": "public",
    "allowlist": "allowlist",
    "no-network": "none",
    "none": "none",
}


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class _NetworkSection(_Section):
    """A section that may choose a network."""

    network_mode: Literal["public", "bridge", "allowlist", "no-network", "none"] | None = Field(
        None, validation_alias=AliasChoices("network_mode", "network")
    )
    allowed_hosts: tuple[AllowedHost, ...] = ()

    @property
    def chosen(self) -> NetworkRules | None:
        """What it chooses; None where it says nothing."""
        if self.network_mode is None:
            return None
        return NetworkRules(mode=_NETWORKS[self.network_mode], hosts=self.allowed_hosts)

    @model_validator(mode="after")
    def _hosts_are_a_list_to_keep_to(self) -> "_NetworkSection":
        if self.allowed_hosts and self.network_mode != "allowlist":
            raise ValueError("allowed_hosts: needs network_mode = 'allowlist'; expected both")
        return self


class EnvironmentSection(_NetworkSection):
    """[environment], and [verifier.environment] of a separate verifier."""

    build_timeout_sec: Number = 600.0
    docker_image: StrictStr | None = None
    cpus: Number | None = None
    memory_mb: SizeMb | None = Field(None, validation_alias=AliasChoices("memory_mb", "memory"))
    storage_mb: SizeMb | None = Field(None, validation_alias=AliasChoices("storage_mb", "storage"))
    pids: int | None = Field(None, gt=0, validation_alias=AliasChoices("pids", "pids_limit"))
    gpus: int = Field(0, ge=0)
    allow_internet: StrictBool | None = None
    mcp_servers: list[Any] = []
    env: Env = {}
    workdir: AbsolutePath | None = None
    keep_processes: StrictBool | None = None  # ours: what the agent left runs on beside the tests
    os: StrictStr = "linux"

    @property
    def network(self) -> NetworkRules:
        """Harbor's rule: open unless the task says otherwise."""
        return self.chosen or NetworkRules(
            mode="none" if self.allow_internet is False else "public"
        )

    @model_validator(mode="after")
    def _provided(self) -> "EnvironmentSection":
        if self.gpus:
            raise ValueError("gpus: asks for a GPU; expected 0, sandboxes have none")
        if self.mcp_servers:
            raise ValueError("mcp_servers: asks for MCP servers; expected an empty list")
        if self.os.lower() != "linux":
            raise ValueError(f"os: asks for {self.os!r}; expected 'linux'")
        return self


class AgentSection(_NetworkSection):
    """[agent]; its network is the sandbox's while the agent works."""

    timeout_sec: Number | None = None
    env: Env = {}


class VerifierSection(_NetworkSection):
    """[verifier]; its network is the sandbox's while the tests run."""

    timeout_sec: Number | None = None
    env: Env = {}
    environment_mode: Literal["shared", "separate"] | None = None
    environment: EnvironmentSection | None = None

    @model_validator(mode="after")
    def _modes_agree(self) -> "VerifierSection":
        if self.environment_mode == "shared" and self.environment is not None:
            raise ValueError("environment: not with environment_mode = 'shared'; expected one")
        return self

    @property
    def separate(self) -> bool:
        """Harbor's rule: a [verifier.environment] alone asks for it too."""
        return self.environment_mode == "separate" or self.environment is not None

    def network_beside(self, environment: EnvironmentSection) -> NetworkRules:
        """Return the network of the tests: Harbor's order, the narrowest section first."""
        own = self.environment.network if self.environment is not None else None
        return self.chosen or own or environment.network


class SolutionSection(_Section):
    """[solution]."""

    env: Env = {}


class PackageSection(_Section):
    """[task]: the name under which a registry lists it."""

    name: StrictStr = ""
    description: StrictStr = ""
    keywords: list[StrictStr] = []


def _artifact(value: object) -> object:
    return {"source": value} if isinstance(value, str) else value


class ArtifactEntry(_Section):
    """One entry of `artifacts`."""

    source: AbsolutePath
    destination: AbsolutePath | None = None

    def to_artifact(self) -> Artifact:
        """Return it as the task keeps it."""
        return Artifact(source=self.source, destination=self.destination or "")


class TaskFile(_Section):
    """A whole task.toml."""

    task: PackageSection = PackageSection()
    metadata: dict[str, Any] = {}
    agent: AgentSection = AgentSection()
    environment: EnvironmentSection = EnvironmentSection()
    verifier: VerifierSection = VerifierSection()
    solution: SolutionSection = SolutionSection()
    artifacts: list[Annotated[ArtifactEntry, BeforeValidator(_artifact)]] = []
    steps: list[Any] = []
    # Terminal-Bench's names of the two time limits, kept by some converters.
    max_agent_timeout_sec: Number | None = None
    max_test_timeout_sec: Number | None = None
    category: StrictStr | None = None
    difficulty: StrictStr | None = None
    tags: list[StrictStr] = []

    @model_validator(mode="after")
    def _provided(self) -> "TaskFile":
        if self.steps:
            raise ValueError("steps: asks for several steps; expected a task of one step")
        return self
