"""Whether a Docker engine answers, and what it can do."""

import shutil
from collections.abc import Iterator

from grindstone.errors import InfrastructureError
from grindstone.sandbox.capabilities import Tool, ask
from grindstone.sandbox.docker.engine import Engine


def probe() -> Iterator[Tool]:
    """Look at the engine, then at the builder; each blocks for up to a few seconds."""
    docker = _engine()
    yield docker
    yield _buildx(docker)


def _engine() -> Tool:
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
        detail=f"{engine.facts.architecture}, runtimes {', '.join(engine.facts.runtimes)}",
    )


def _buildx(docker: Tool) -> Tool:
    remedy = "sudo apt-get install docker-buildx"
    if not docker.works:
        return Tool(name="buildx", works=False, reason="no Docker engine", remedy=docker.remedy)
    told = ask(["docker", "buildx", "version"])
    if told is None or told.returncode != 0:
        reason = "not installed: Dockerfiles with here-documents or RUN --mount do not build"
        return Tool(name="buildx", works=False, reason=reason, remedy=remedy)
    return Tool(name="buildx", works=True, version=" ".join(told.stdout.split()[1:2]))
