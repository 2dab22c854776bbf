"""What this machine has for sandboxes, and the command that brings what is missing."""

import os
import shutil
import subprocess

from grindstone.base import Frozen
from grindstone.errors import InfrastructureError

PROBE_TIMEOUT_S = 20


class Tool(Frozen):
    """One thing sandboxes can use."""

    name: str
    works: bool
    version: str = ""
    detail: str = ""  # for bubblewrap: root or rootless
    reason: str = ""  # why it does not work
    remedy: str = ""  # a command that mends it; empty when it works


class Capabilities(Frozen):
    """What a `doctor` prints."""

    docker: Tool
    buildx: Tool
    bubblewrap: Tool
    tmux: Tool


def probe() -> Capabilities:
    """Look, without leaving anything behind; blocks for up to a few seconds."""
    docker = _docker()
    return Capabilities(
        docker=docker, buildx=_buildx(docker), bubblewrap=_bubblewrap(), tmux=_tmux()
    )


def _docker() -> Tool:
    from grindstone.sandbox.docker_engine import Engine  # noqa: PLC0415

    try:
        engine = Engine()
    except InfrastructureError as error:
        present = shutil.which("dockerd") or shutil.which("docker")
        remedy = "sudo systemctl start docker" if present else "sudo apt-get install docker.io"
        return Tool(name="docker", works=False, reason=error.detail[:300], remedy=remedy)
    engine.close()
    return Tool(
        name="docker",
        works=True,
        version=engine.facts.version,
        detail=engine.facts.architecture,
    )


def _buildx(docker: Tool) -> Tool:
    remedy = "sudo apt-get install docker-buildx"
    if not docker.works:
        return Tool(name="buildx", works=False, reason="no Docker engine", remedy=docker.remedy)
    told = _run(["docker", "buildx", "version"])
    if told is None or told.returncode != 0:
        reason = "not installed: Dockerfiles with here-documents or RUN --mount do not build"
        return Tool(name="buildx", works=False, reason=reason, remedy=remedy)
    return Tool(name="buildx", works=True, version=" ".join(told.stdout.split()[1:2]))


def _bubblewrap() -> Tool:
    name = "bubblewrap"
    remedy = "sudo apt-get install bubblewrap uidmap"
    for program in ("bwrap", "unshare", "nsenter"):
        if shutil.which(program) is None:
            return Tool(name=name, works=False, reason=f"{program} is missing", remedy=remedy)
    from grindstone.sandbox.bwrap_host import SYSTEM, enter_namespace, mode  # noqa: PLC0415

    version = _run(["bwrap", "--version"])
    # Not all of /: a container engine's mounts below it come and go while they are bound.
    binds = " ".join(f"--ro-bind-try /{folder} /{folder}" for folder in SYSTEM)
    bare = f"bwrap {binds} --proc /proc --unshare-pid --unshare-net true"
    tried = _run([*enter_namespace(), "sh", "-c", bare])
    if tried is None or tried.returncode != 0:
        reason = tried.stderr.strip()[:300] if tried else "it does not answer"
        allow = "sudo sysctl -w kernel.unprivileged_userns_clone=1"
        return Tool(
            name=name, works=False, reason=reason, remedy=remedy if os.geteuid() == 0 else allow
        )
    text = version.stdout.split()[-1] if version and version.stdout else ""
    return Tool(name=name, works=True, version=text, detail=mode())


def _tmux() -> Tool:
    told = _run(["tmux", "-V"]) if shutil.which("tmux") else None
    if told is None or told.returncode != 0:
        return Tool(
            name="tmux", works=False, reason="not installed", remedy="sudo apt-get install tmux"
        )
    return Tool(name="tmux", works=True, version=told.stdout.split()[-1])


def _run(command: list[str]) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=PROBE_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
