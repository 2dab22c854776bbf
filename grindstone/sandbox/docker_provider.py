"""Sandboxes as Docker containers: built, started, labelled and reaped."""

import asyncio
import re
from collections import defaultdict

from grindstone.digest import SHORT
from grindstone.errors import Cause, InfrastructureError
from grindstone.sandbox.docker_build import build_image
from grindstone.sandbox.docker_engine import Engine, engine_errors
from grindstone.sandbox.docker_sandbox import DockerSandbox
from grindstone.sandbox.owner import Owner, this_process
from grindstone.sandbox.protocol import BuildSpec, Sandbox, StartSpec

LABEL = "dev.grindstone"
"""Prefix of every label; an object that carries it is ours to remove."""

RUN_KEY = "run_key"
"""The label of `StartSpec.labels` that `reap(run_key=…)` looks for."""

CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "KILL")
"""What root keeps inside: package managers, `su` and `kill` work, nothing of the kernel's does."""


class DockerProvider:
    """Containers on the engine that DOCKER_HOST or the default socket names."""

    kind = "docker"

    def __init__(self) -> None:
        self._engine = Engine()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._built: set[str] = set()
        self._open: set[DockerSandbox] = set()

    async def build(self, spec: BuildSpec) -> str:
        """Return the image's tag, building it once however many ask at the same time."""
        if spec.image:
            return spec.image
        slug = re.sub(r"[^a-z0-9]+", "-", spec.context_dir.resolve().parent.name.lower())
        tag = f"grindstone/{slug.strip('-') or 'image'}:{spec.context_digest[:SHORT]}"
        async with self._locks[tag]:
            if tag not in self._built:
                await self._engine.call(build_image, self._engine, spec, tag)
                self._built.add(tag)
        return tag

    async def start(self, spec: StartSpec) -> Sandbox:
        """Start a container whose main process does nothing."""
        sandbox = await self._engine.call(self._start, spec)
        self._open.add(sandbox)
        return sandbox

    def _start(self, spec: StartSpec) -> DockerSandbox:
        api = self._engine.client.api
        owner = this_process()
        labels = {
            f"{LABEL}.host": owner.host,
            f"{LABEL}.pid": str(owner.pid),
            f"{LABEL}.started": owner.started,
            f"{LABEL}.name": spec.name,
        }
        labels |= {f"{LABEL}.{key}": value for key, value in spec.labels.items()}
        memory = spec.limits.memory_mb and spec.limits.memory_mb * 1024 * 1024
        host = api.create_host_config(
            cap_drop=["ALL"],
            cap_add=list(CAPABILITIES),
            security_opt=["no-new-privileges"],
            mem_limit=memory,
            memswap_limit=memory,
            pids_limit=spec.limits.pids,
            nano_cpus=int(spec.limits.cpus * 1e9) if spec.limits.cpus else None,
            network_mode=spec.network,
        )
        with engine_errors(Cause.SANDBOX_START):
            made = api.create_container(
                spec.image,
                entrypoint=["sleep", "infinity"],
                command=[],
                environment=spec.env,
                working_dir=spec.workdir,
                user="0",
                labels=labels,
                host_config=host,
            )
            try:
                api.start(made["Id"])
                workdir = spec.workdir or (
                    api.inspect_container(made["Id"])["Config"]["WorkingDir"] or "/"
                )
            except BaseException:
                api.remove_container(made["Id"], force=True, v=True)
                raise
        return DockerSandbox(self._engine, made["Id"], workdir)

    async def reap(self, *, run_key: str | None = None) -> int:
        """Remove containers whose owner is dead, and those of `run_key`."""
        return await self._engine.call(self._reap, run_key)

    def _reap(self, run_key: str | None) -> int:
        removed = 0
        with engine_errors(Cause.ENGINE_UNAVAILABLE):
            api = self._engine.client.api
            for found in api.containers(all=True, filters={"label": f"{LABEL}.pid"}):
                labels = found["Labels"]
                owner = Owner.parse(
                    labels.get(f"{LABEL}.host", ""),
                    labels[f"{LABEL}.pid"],
                    labels.get(f"{LABEL}.started", ""),
                )
                wanted = run_key is not None and labels.get(f"{LABEL}.{RUN_KEY}") == run_key
                if wanted or owner is None or not owner.alive():
                    api.remove_container(found["Id"], force=True, v=True)
                    removed += 1
        return removed

    async def close(self) -> None:
        """Close what is still open and release the connections."""
        results = await asyncio.gather(
            *(sandbox.close() for sandbox in self._open), return_exceptions=True
        )
        self._open.clear()
        self._engine.close()
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, InfrastructureError):
                raise result
