"""What task.toml may say: the Harbor format, its older spellings included.

Unknown keys are ignored, as Harbor ignores them, unless they may be misspelled limits (see
`unknown_keys`); known keys of the wrong type are not.
Keys that ask for something Grindstone cannot provide (GPUs, several steps, MCP servers,
Windows) are refused: running such a task without it would give
scores that mean nothing.
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    StrictBool,
    StrictInt,
    StrictStr,
    model_validator,
)

from grindstone.benchmark.task import Artifact, CollectHook, Healthcheck
from grindstone.sandbox.network.rules import NetworkMode, NetworkRules

_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[KMGT]?)I?B?", re.IGNORECASE)
_MB_PER_UNIT = {"": 1.0, "K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0 * 1024}

_ROOTS: frozenset[str | int | None] = frozenset({None, "", "root", "0", 0})

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


def _the_only_service(value: str | None) -> str | None:
    if value not in (None, "main"):
        raise ValueError(f"is {value!r}; expected 'main', the one container there is")
    return value


def _relative(value: str) -> str:
    if value.startswith("/") or ".." in value.split("/"):
        raise ValueError(f"is {value!r}; expected a relative path, without ..")
    return value


SizeMb = Annotated[int, BeforeValidator(parse_size_mb)]
Number = Annotated[PositiveFloat, BeforeValidator(_a_number), AfterValidator(_finite)]
EnvText = Annotated[StrictStr, BeforeValidator(_scalar_text)]
EnvName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Env = dict[EnvName, EnvText]
AllowedHost = Annotated[StrictStr, AfterValidator(NetworkRules.check_host)]
AbsolutePath = Annotated[StrictStr, Field(pattern=r"^/")]
User = StrictStr | StrictInt | None
Service = Annotated[StrictStr | None, AfterValidator(_the_only_service)]
HostPath = Annotated[StrictStr, AfterValidator(_relative)]


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


class HealthcheckSection(_Section):
    """[environment.healthcheck]."""

    command: Annotated[StrictStr, Field(min_length=1)]
    interval_sec: Number = 5.0
    timeout_sec: Number = 30.0
    start_period_sec: Annotated[NonNegativeFloat, BeforeValidator(_a_number)] = 0.0
    start_interval_sec: Number = 5.0
    retries: int = Field(3, gt=0)

    def to_check(self) -> Healthcheck:
        """Return it as the task keeps it."""
        return Healthcheck(
            command=self.command,
            interval_s=self.interval_sec,
            timeout_s=self.timeout_sec,
            start_period_s=self.start_period_sec,
            start_interval_s=self.start_interval_sec,
            retries=self.retries,
        )


class EnvironmentSection(_NetworkSection):
    """[environment], and [verifier.environment] of a separate verifier."""

    build_timeout_sec: Number = 600.0
    docker_image: StrictStr | None = None
    cpus: Number | None = None
    memory_mb: SizeMb | None = Field(None, validation_alias=AliasChoices("memory_mb", "memory"))
    storage_mb: SizeMb | None = Field(None, validation_alias=AliasChoices("storage_mb", "storage"))
    pids: int | None = Field(None, gt=0, validation_alias=AliasChoices("pids", "pids_limit"))
    gpus: int = Field(0, ge=0)
    tpu: Any = None
    allow_internet: StrictBool | None = None
    mcp_servers: list[Any] = []
    env: Env = {}
    workdir: AbsolutePath | None = None
    skills_dir: StrictStr | None = None
    healthcheck: HealthcheckSection | None = None
    keep_processes: StrictBool | None = None  # ours: what the agent left runs on beside the tests
    os: StrictStr = "linux"

    @property
    def network(self) -> NetworkRules:
        """Harbor's rule: open unless the task says otherwise."""
        return self.chosen or NetworkRules(
            mode="none" if self.allow_internet is False else "public"
        )

    @model_validator(mode="before")
    @classmethod
    def _sizes_agree(cls, data: Any) -> Any:
        for old, new in (("memory", "memory_mb"), ("storage", "storage_mb")):
            if isinstance(data, dict) and old in data and new in data:
                one, other = data[old], data[new]
                if parse_size_mb(one) != parse_size_mb(other):
                    problem = f"is {one!r}, and {new} {other!r}"
                    raise ValueError(f"{old}: {problem}; expected one of them, or the same twice")
        return data

    @model_validator(mode="after")
    def _provided(self) -> "EnvironmentSection":
        if self.gpus:
            raise ValueError("gpus: asks for a GPU; expected 0, sandboxes have none")
        if self.tpu is not None:
            raise ValueError("tpu: asks for a TPU; expected none, sandboxes have none")
        if self.mcp_servers:
            raise ValueError("mcp_servers: asks for MCP servers; expected an empty list")
        if self.os.lower() != "linux":
            raise ValueError(f"os: asks for {self.os!r}; expected 'linux'")
        return self


class AgentSection(_NetworkSection):
    """[agent]; its network is the sandbox's while the agent works."""

    timeout_sec: Number | None = None
    env: Env = {}
    user: User = None


class CollectSection(_Section):
    """[[verifier.collect]]."""

    command: Annotated[StrictStr, Field(min_length=1)]
    service: Service = None
    timeout_sec: Number = 60.0
    user: User = None

    def to_hook(self) -> CollectHook:
        """Return it as the task keeps it."""
        return CollectHook(command=self.command, timeout_s=self.timeout_sec)


class VerifierSection(_NetworkSection):
    """[verifier]; its network is the sandbox's while the tests run."""

    timeout_sec: Number | None = None
    env: Env = {}
    environment_mode: Literal["shared", "separate"] | None = None
    environment: EnvironmentSection | None = None
    collect: list[CollectSection] = []
    user: User = None

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
    destination: HostPath | None = None  # in Harbor's folder of a trial; the verifier's is `source`
    exclude: tuple[StrictStr, ...] = ()
    service: Service = None

    def to_artifact(self) -> Artifact:
        """Return it as the task keeps it."""
        return Artifact(source=self.source, exclude=self.exclude)


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

    @property
    def unheeded(self) -> tuple[str, ...]:
        """What Harbor heeds and nothing does here, a sentence each."""
        told = [
            f"{field} is {user!r} and has no effect: everything in a sandbox runs as root"
            for field, user in self._users()
            if user not in _ROOTS
        ]
        if self.environment.skills_dir:
            told.append("environment.skills_dir has no effect: skills are those of the workspace")
        return tuple(told)

    def _users(self) -> Iterator[tuple[str, str | int | None]]:
        yield "agent.user", self.agent.user
        yield "verifier.user", self.verifier.user
        for index, hook in enumerate(self.verifier.collect):
            yield f"verifier.collect.{index}.user", hook.user

    @model_validator(mode="after")
    def _provided(self) -> "TaskFile":
        if self.steps:
            raise ValueError("steps: asks for several steps; expected a task of one step")
        return self
