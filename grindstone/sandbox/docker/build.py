"""Building a task's image: BuildKit from the command line, else the SDK's classic builder."""

import os
import re
import shutil
import subprocess
from functools import cache
from typing import Any

from docker.errors import BuildError, ImageNotFound

from grindstone.errors import Cause, InfrastructureError
from grindstone.sandbox.build_addresses import check_dockerfile
from grindstone.sandbox.docker.engine import Engine, engine_errors
from grindstone.sandbox.protocol import BuildSpec

LOG_TAIL = 4_000
"""Characters of a failed build's log that its error carries."""

_TOLD = re.compile(r"^ERROR: (?:failed to (?:build|solve): )?(.+)$", re.MULTILINE)
"""The line in which BuildKit says what a build failed of, the log's last such."""


def build_image(engine: Engine, spec: BuildSpec, tag: str) -> None:
    """Build an image under a tag unless it is there; blocks.

    Raises:
        InputError: The Dockerfile has the engine ask this machine or a private one.
        InfrastructureError: IMAGE_BUILD with the end of the log, or ENGINE_UNAVAILABLE.
    """
    with engine_errors(Cause.IMAGE_BUILD):
        try:
            api: Any = engine.client.api
            api.inspect_image(tag)
        except ImageNotFound:
            pass
        else:
            return
        file = spec.context_dir / "Dockerfile"
        text = file.read_text("utf-8", "replace") if file.is_file() else ""
        check_dockerfile(file, text, resolve=True)
        if not has_buildx():
            check_dockerfile(file, text, documents=False)
        if lost := engine.lost_bases.why(spec.context_dir):
            raise InfrastructureError(Cause.IMAGE_BUILD, f"{lost} ({spec.context_dir})")
        labels = {"dev.grindstone.image": spec.context_digest}
        try:
            if has_buildx():
                _build_with_cli(spec, tag, labels)
            else:
                _build_with_sdk(engine, spec, tag, labels)
        except InfrastructureError as error:
            engine.lost_bases.note(
                spec.context_dir, error.detail.partition(f" ({spec.context_dir}")[0]
            )
            raise


@cache
def has_buildx() -> bool:
    """Whether `docker build` can use BuildKit: heredocs and RUN --mount need it."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    asked = subprocess.run([docker, "buildx", "version"], capture_output=True, check=False)
    return asked.returncode == 0


def _build_with_cli(spec: BuildSpec, tag: str, labels: dict[str, str]) -> None:
    command = ["docker", "build", "--progress=plain", "--tag", tag]
    for name, value in labels.items():
        command += ["--label", f"{name}={value}"]
    try:
        done = subprocess.run(
            [*command, str(spec.context_dir)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=spec.timeout_s,
            env={**os.environ, "DOCKER_BUILDKIT": "1"},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _failed(spec, spec.overdue, error.stdout or b"") from error
    if done.returncode != 0:
        raise _failed(spec, f"exit code {done.returncode}", done.stdout)


def _build_with_sdk(engine: Engine, spec: BuildSpec, tag: str, labels: dict[str, str]) -> None:
    try:
        engine.client.images.build(
            path=str(spec.context_dir),
            tag=tag,
            labels=labels,
            rm=True,
            forcerm=True,
            timeout=int(spec.timeout_s),
        )
    except BuildError as error:
        log = "".join(str(line.get("stream", line.get("error", ""))) for line in error.build_log)
        raise _failed(spec, str(error), log.encode()) from error


def _failed(spec: BuildSpec, problem: str, log: bytes) -> InfrastructureError:
    """Return the error, its reason first: tables and lists show the beginning of it alone."""
    text = log.decode(errors="replace")
    told = _TOLD.findall(text)
    where = f"{spec.context_dir}: {problem}"
    reason = f"{told[-1].strip()} ({where})" if told else where
    return InfrastructureError(Cause.IMAGE_BUILD, f"{reason}\n{text[-LOG_TAIL:]}")
