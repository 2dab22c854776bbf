"""A task's image with an agent's program in it."""

import shutil
import tempfile
from pathlib import Path

from grindstone.agents.agent_file import AgentFile
from grindstone.digest import SHORT, digest
from grindstone.resources import cache_dir
from grindstone.sandbox.protocol import BuildSpec


def with_agent(build: BuildSpec, agent: AgentFile) -> BuildSpec:
    """Return what a task's image is built from, with an agent's installation as its last layers.

    The same task and the same installation give the same image: it is built once. An agent that
    needs none leaves the task's as it is.

    Raises:
        OSError: The cache folder cannot be written.
    """
    if not agent.install:
        return build
    known = digest([build.context_digest, build.image, list(agent.install)])
    folder = cache_dir() / "agents" / known[:SHORT]
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        _lay(build, agent, folder)
    return BuildSpec(context_dir=folder, context_digest=known, timeout_s=build.timeout_s + 900.0)


def _lay(build: BuildSpec, agent: AgentFile, folder: Path) -> None:
    making = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".making-"))
    try:
        if build.image:
            begun = f"FROM {build.image}\n"
        else:
            shutil.copytree(build.context_dir, making, symlinks=True, dirs_exist_ok=True)
            begun = (making / "Dockerfile").read_text("utf-8")
        steps = "".join(f"RUN {command}\n" for command in agent.install)
        (making / "Dockerfile").write_text(f"{begun.rstrip()}\nUSER root\n{steps}", "utf-8")
        try:
            making.rename(folder)
        except OSError:  # another process was first
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
