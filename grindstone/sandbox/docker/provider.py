"""Sandboxes as Docker containers: built, started, labelled and reaped."""

import asyncio
import os
import re
from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import requests
from docker.errors import APIError

from grindstone.digest import SHORT
from grindstone.errors import Cause, InputError
from grindstone.sandbox.closing import Closings
from grindstone.sandbox.docker.build import build_image
from grindstone.sandbox.docker.engine import LABEL, Engine, engine_errors, owner_labels, owner_of
from grindstone.sandbox.docker.sandbox import HATCH_DIR, DockerSandbox, remove
from grindstone.sandbox.docker.volume import runner_volume
from grindstone.sandbox.network.doors import ENVIRONMENT, Hatch
from grindstone.sandbox.owner import carries
from grindstone.sandbox.protocol import HOSTNAME, BuildSpec, Limits, Sandbox, StartSpec
from grindstone.sandbox.registry import Kind
from grindstone.sandbox.remote import RUNNER, RUNNER_DIR

CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "KILL")
"""What root keeps inside: package managers, `su` and `kill` work, nothing of the kernel's does."""


class DockerProvider:
    """Containers on the engine that DOCKER_HOST or the default socket names.

    `Limits.cpus` above what the engine has means all of them.

    Raises:
        InfrastructureError: ENGINE_UNAVAILABLE when no engine answers.
        InputError: The engine has no such runtime.
    """

    kind: Kind = "docker"

    def __init__(self, runtime: str | None = None) -> None:
        self._engine = Engine()
        known = self._engine.facts.runtimes
        if runtime is not None and runtime not in known:
            self._engine.close()
            raise InputError("runtime", f"the engine has no {runtime!r}", ", ".join(known))
        self._runtime = runtime
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._built: set[str] = set()
        self._open: set[DockerSandbox] = set()
        self._closings = Closings()
        self._workdirs: dict[str, str] = {}
        self._volume: str | None = None

    @property
    def not_held(self) -> tuple[str, ...]:
        """What needs this process to be root beside the engine."""
        if os.geteuid() == 0:
            return ()
        return ("Docker without root: the number of files of a sandbox is not limited",)

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
        """Start a container whose main process does nothing but wait for orphans."""
        async with self._locks["runner"]:
            if self._volume is None:
                with engine_errors(Cause.SANDBOX_START):
                    self._volume = await self._engine.call(runner_volume, self._engine, spec.image)
        starting = asyncio.ensure_future(self._engine.call(self._start, spec, self._volume))
        try:
            sandbox = await asyncio.shield(starting)
        except asyncio.CancelledError:
            # The thread cannot be stopped: what it starts must not be left behind.
            await (await starting).close()
            raise
        self._open.add(sandbox)
        try:
            await sandbox.begin()
        except BaseException:
            await sandbox.close()
            raise
        return sandbox

    def _start(self, spec: StartSpec, volume: str) -> DockerSandbox:
        api = self._engine.client.api
        connected = spec.network.mode != "none"
        hatch = Hatch() if connected or spec.listens else None
        told = ENVIRONMENT if connected else {}
        with engine_errors(Cause.SANDBOX_START):
            made = api.create_container(
                spec.image,
                entrypoint=[RUNNER, "init"],
                command=[],
                environment={**told, **spec.env},
                working_dir=spec.workdir,
                user="0",
                hostname=HOSTNAME,
                labels=self._labels(spec),
                host_config=self._host_config(spec.limits, hatch, volume),
            )
            try:
                api.start(made["Id"])
                workdir = spec.workdir or self._image_workdir(spec.image)
            except BaseException:
                remove(self._engine, made["Id"])
                raise
        return DockerSandbox(
            self._engine, made["Id"], workdir, spec.network, spec.limits, hatch, self._open.discard
        )

    def _host_config(self, limits: Limits, hatch: Hatch | None, volume: str) -> dict[str, Any]:
        memory = limits.memory_limit_mb << 20
        cpus = limits.cpus and min(limits.cpus, self._engine.facts.cpus)
        binds: dict[str, Mapping[str, str]] = {volume: {"bind": RUNNER_DIR, "mode": "ro"}}
        if hatch is not None:
            binds[str(hatch.folder)] = {"bind": HATCH_DIR, "mode": "ro"}
        security = ["no-new-privileges", f"seccomp={self._seccomp}"]
        if self._engine.facts.apparmor:
            # Its default profile denies mount to the sealed run as well. The agent has
            # neither the capability nor the system calls, with or without the profile.
            security.append("apparmor=unconfined")
        return self._engine.client.api.create_host_config(
            binds=binds,
            cap_drop=["ALL"],
            cap_add=list(CAPABILITIES),
            security_opt=security,
            mem_limit=memory,
            memswap_limit=memory,
            pids_limit=limits.pids,
            nano_cpus=int(cpus * 1e9) if cpus else None,
            network_mode="none",
            runtime=self._runtime,
        )

    @cached_property
    def _seccomp(self) -> str:
        return (Path(__file__).parent / "seccomp.json").read_text()

    def _image_workdir(self, image: str) -> str:
        if image not in self._workdirs:
            api: Any = self._engine.client.api
            config = api.inspect_image(image)["Config"]
            self._workdirs[image] = config.get("WorkingDir") or "/"
        return self._workdirs[image]

    def _labels(self, spec: StartSpec) -> dict[str, str]:
        return {
            **{f"{LABEL}.{key}": value for key, value in spec.labels.items()},
            **owner_labels(),
            f"{LABEL}.name": spec.name,
        }

    def discard(self, sandbox: Sandbox) -> None:
        """Close a sandbox without waiting for it; `reap` and `close` wait."""
        self._closings.begin(sandbox)

    async def reap(self, *, labels: Mapping[str, str] | None = None) -> int:
        """Remove containers whose owner is dead, those with `labels`, and our dangling images."""
        await self._closings.wait()
        return await self._engine.call(self._reap, labels or {})

    def _reap(self, wanted: Mapping[str, str]) -> int:
        api: Any = self._engine.client.api
        wanted = {f"{LABEL}.{key}": value for key, value in wanted.items()}
        removed = 0
        with engine_errors(Cause.ENGINE_UNAVAILABLE):
            for found in api.containers(all=True, filters={"label": f"{LABEL}.pid"}):
                labels = found["Labels"]
                owner = owner_of(labels)
                if carries(labels, wanted) or owner is None or not owner.alive():
                    remove(self._engine, found["Id"])
                    removed += 1
            self._prune(api)
        return removed

    def _prune(self, api: Any) -> None:
        try:
            api.prune_images({"dangling": True, "label": f"{LABEL}.image"})
        except APIError as error:
            # The engine prunes once at a time: another process is at it, which serves as well.
            if error.status_code != requests.codes.conflict:
                raise

    async def close(self) -> None:
        """Close what is still open and release the connections."""
        for sandbox in list(self._open):
            self._closings.begin(sandbox)
        try:
            await self._closings.wait()
        finally:
            self._engine.close()
