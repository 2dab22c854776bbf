"""What a sandbox can do, whoever provides it.

A sandbox knows no task. It is given a build folder, limits and a network choice, runs
commands as root inside, and moves files. Its user is the only one who knows what the
files mean.
"""

import math
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from pydantic import Field, PositiveFloat, PositiveInt

from grindstone.base import Frozen
from grindstone.sandbox.network.rules import NetworkRules
from grindstone.sandbox.registry import Kind

Keep = Literal["nothing", "listening", "all"]
"""What a sealed run leaves alive of what runs in the sandbox already. `listening`: all of it if
some of it listens on a socket, else nothing."""

HOSTNAME = "sandbox"
"""What every sandbox calls itself: an agent that tries again finds the prompt it knows."""


class ExecResult(NamedTuple):
    """What a command did."""

    exit_code: int  # 124 when it was ended at its time limit
    output: str  # standard output and standard error as they came, decoded with replacement
    timed_out: bool
    duration_s: float
    truncated: bool = False  # the middle of the output was left out


class SealedResult(NamedTuple):
    """What a sealed command did, and the regular files it left in its log folder."""

    run: ExecResult
    files: Mapping[str, bytes]  # by relative name; links and special files are left out
    note: str = ""  # "ended" or "kept", how many, and the names of processes found running


DEFAULT_MEMORY_MB = 4_096
DEFAULT_STORAGE_MB = 10_240
DEFAULT_HEADROOM = 1.5
"""A sandbox ended at exactly what it was promised ends too early: caches and brief peaks count."""


class Limits(Frozen):
    """What a sandbox may use."""

    cpus: PositiveFloat | None = Field(None, description="None: all there are.")
    memory_mb: PositiveInt = Field(DEFAULT_MEMORY_MB, description="What it is promised.")
    memory_headroom: float = Field(
        DEFAULT_HEADROOM, ge=1.0, description="It is ended above its memory times this."
    )
    storage_mb: PositiveInt = Field(
        DEFAULT_STORAGE_MB, description="Disk beyond its image; see `sandbox.disk`."
    )
    inodes: PositiveInt = Field(500_000, description="Files and folders beyond its image.")
    pids: PositiveInt = 256

    @property
    def memory_limit_mb(self) -> int:
        """Megabytes at which the kernel ends a process of it."""
        return math.ceil(self.memory_mb * self.memory_headroom)

    @property
    def disk_bytes(self) -> int:
        """Bytes it may take beyond its image."""
        return self.storage_mb << 20


class BuildSpec(Frozen):
    """An image by content: the same folder and arguments give the same image."""

    context_dir: Path = Field(description="Folder with a Dockerfile.")
    context_digest: str = Field(description="Its content digest; makes the image's tag.")
    image: str | None = Field(None, description="A ready image to use instead of building.")
    timeout_s: PositiveFloat = 600.0

    @property
    def overdue(self) -> str:
        """What is said of a build that its time limit ended, with the key of task.toml to raise."""
        return f"not done after {self.timeout_s:g} s, its environment.build_timeout_sec"


class StartSpec(Frozen):
    """What one sandbox is to be."""

    image: str = Field(description="What `build` returned.")
    name: str = Field(description="A label for people; uniqueness is the provider's business.")
    limits: Limits = Limits()
    network: NetworkRules = Field(NetworkRules(), description="What it may reach.")
    env: dict[str, str] = {}
    workdir: str | None = Field(None, description="None: the image's own.")
    listens: bool = Field(False, description="Whether `Sandbox.listen` will be asked of it.")
    labels: dict[str, str] = Field({}, description="Beside the ones that make it reapable.")


class SealedSpec(Frozen):
    """A command that is to run sealed off from what ran in its sandbox before."""

    command: str = Field(description="A bash command line.")
    timeout_s: PositiveFloat
    inputs: dict[str, Path] = Field(description="Absolute folder inside → folder on the host.")
    log_dir: str = Field(description="Absolute folder inside, whose files are returned.")
    cwd: str | None = None
    env: dict[str, str] = {}
    max_output_bytes: PositiveInt = 4_000_000
    keep: Keep = Field("nothing", description="What goes on running beside it.")
    network: NetworkRules | None = Field(
        None,
        description="In force meanwhile, in place of the sandbox's own rules; a sandbox that was "
        "started without a network has none whatever it says.",
    )


class Sandbox(Protocol):
    """A running sandbox. Every method may raise InfrastructureError, and nothing else."""

    @property
    def kind(self) -> Kind:
        """Which engine it is of."""
        ...

    @property
    def workdir(self) -> str:
        """The folder commands start in."""
        ...

    async def exec(
        self,
        command: str,
        *,
        timeout_s: float,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        max_output_bytes: int = 1_000_000,
    ) -> ExecResult:
        """Run a bash command line as root.

        At the time limit everything the command started is ended inside the sandbox, and
        the output up to then is returned. Processes it left in the background of a command
        that ended by itself live on.
        """
        ...

    async def write_files(self, files: Mapping[str, bytes], *, mode: int = 0o644) -> None:
        """Write files by absolute path, making folders as needed, replacing links."""
        ...

    async def copy_in(self, source: Path, target: str) -> None:
        """Copy a folder's content (modes kept, links as links) to an absolute folder."""
        ...

    async def read_file(self, path: str, *, max_bytes: int = 10_000_000) -> bytes | None:
        """Return a regular file's content, None where there is none; follows no link out."""
        ...

    async def copy_out(self, source: str, target: Path, *, max_bytes: int = 50_000_000) -> None:
        """Copy a folder's folders and regular files, modes kept, to an empty host folder.

        Links are left out.

        Raises:
            UncarriableError: What is there is too large, too deep, too much, or has names that the
                host has no room for: the doing of who works inside.
        """
        ...

    async def exec_sealed(self, spec: SealedSpec) -> SealedResult:
        """End what runs in the sandbox, then run a command in a mount namespace of its own.

        Each of the inputs is copied to a fresh private file system laid over its path, and the
        log folder is fresh, private and empty; the sandbox's other users may not enter them. What
        is kept running neither sees these nor can write to them. The files left in the log folder
        are returned.
        """
        ...

    async def listen(self, port: int) -> socket.socket:
        """Return a socket that listens inside, at a port of its loopback, and nowhere else.

        Whoever accepts its connections is out here: what runs inside reaches them without a
        network. Only for a sandbox that was started with `listens`.
        """
        ...

    async def memory_kills(self) -> int:
        """Return how many processes the kernel ended because memory was used up."""
        ...

    async def close(self) -> None:
        """End everything and remove it; safe to call twice."""
        ...


class SandboxProvider(Protocol):
    """Builds images and starts sandboxes."""

    @property
    def kind(self) -> Kind:
        """Which engine it is of."""
        ...

    @property
    def not_held(self) -> tuple[str, ...]:
        """What the documents promise and this machine cannot hold; told when a run starts."""
        ...

    async def build(self, spec: BuildSpec) -> str:
        """Return an image for the folder, building it when it is not there yet.

        Raises:
            InfrastructureError: IMAGE_BUILD, with the end of the build's log.
            InputError: The Dockerfile needs what this provider cannot do.
        """
        ...

    async def start(self, spec: StartSpec) -> Sandbox:
        """Start a fresh sandbox."""
        ...

    def discard(self, sandbox: Sandbox) -> None:
        """Close a sandbox without waiting for it; `reap` and `close` wait."""
        ...

    async def reap(self, *, labels: Mapping[str, str] | None = None) -> int:
        """Remove what dead owners left: sandboxes, networks, processes, mounts.

        An owner is the process that started a sandbox, named in its labels by host, process
        id and that process's start time. With `labels`, those that were started with all of
        them are removed whoever owns them. Returns how many sandboxes were removed.
        """
        ...

    async def close(self) -> None:
        """Release connections; sandboxes still open are closed."""
        ...
