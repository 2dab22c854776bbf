"""Sandboxes without a container engine: bubblewrap over the host's own system."""

import asyncio
import contextlib
import json
import shutil
from collections import defaultdict
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

from filelock import AsyncFileLock, FileLock, Timeout

from grindstone.digest import SHORT
from grindstone.errors import Cause, InfrastructureError, InputError
from grindstone.files import write_atomic
from grindstone.resources import cache_dir
from grindstone.sandbox.bubblewrap.box import LOWEST_ENVIRONMENT, Box, remove_left
from grindstone.sandbox.bubblewrap.cgroups import groups_can_be_made
from grindstone.sandbox.bubblewrap.dockerfile import (
    CopyInstruction,
    Recipe,
    RunInstruction,
    Workdir,
    read_recipe,
)
from grindstone.sandbox.bubblewrap.host import Host, prepare, remove_tree
from grindstone.sandbox.bubblewrap.sandbox import BubblewrapSandbox
from grindstone.sandbox.closing import Closings
from grindstone.sandbox.network.doors import ENVIRONMENT
from grindstone.sandbox.network.rules import NetworkRules
from grindstone.sandbox.owner import Owner, carries, this_process
from grindstone.sandbox.protocol import HOSTNAME, BuildSpec, Limits, Sandbox, StartSpec
from grindstone.sandbox.registry import Kind

LOG_TAIL = 4_000
"""Characters of a failed build's log that its error carries."""

HOST_IMAGE = "host"
"""The image that is the host's system and nothing else."""

_MAKING = ".making-"  # begins the name of a layer that is not complete


class BubblewrapProvider:
    """Boxes below the cache folder.

    What is weaker than on Docker: memory, processes and processors are limited through control
    groups where this process may make them (as root, mostly), else only the number of processes
    is; every task sees the host's programs, whatever image it names.
    """

    kind: Kind = "bubblewrap"

    def __init__(self, runtime: str | None = None) -> None:
        if runtime is not None:
            raise InputError("runtime", f"bubblewrap has no {runtime!r}", "none, or Docker")
        self._base = cache_dir() / "bubblewrap"
        self._host: Host | None = None
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._open: set[BubblewrapSandbox] = set()
        self._closings = Closings()
        self._numbers = count(1)

    @property
    def not_held(self) -> tuple[str, ...]:
        """What is not limited where no control groups can be made."""
        if groups_can_be_made():
            return ()
        return ("bubblewrap without root: memory and processors of a sandbox are not limited",)

    async def _prepared(self) -> Host:
        async with self._locks["host"]:
            if self._host is None:
                if shutil.which("bwrap") is None:
                    problem = "bubblewrap is not installed (apt-get install bubblewrap uidmap)"
                    raise InfrastructureError(Cause.ENGINE_UNAVAILABLE, problem)
                self._host = await asyncio.to_thread(prepare)
            return self._host

    async def build(self, spec: BuildSpec) -> str:
        """Return a layer's name, replaying the Dockerfile when it is not there yet."""
        if spec.image:
            return HOST_IMAGE
        recipe = await asyncio.to_thread(read_recipe, spec.context_dir)
        host = await self._prepared()
        name = f"{spec.context_digest[:SHORT]}-{host.skeleton.parent.name}"
        layer = self._base / "layers" / name
        async with self._locks[name]:
            layer.parent.mkdir(parents=True, exist_ok=True)
            async with AsyncFileLock(_lock_of(layer)):
                if not (layer / "config.json").exists():
                    try:
                        async with asyncio.timeout(spec.timeout_s):
                            await self._replay(spec, recipe, layer)
                    except TimeoutError as error:
                        problem = f"{spec.context_dir}: {spec.overdue}"
                        raise InfrastructureError(Cause.IMAGE_BUILD, problem) from error
        return name

    async def _replay(self, spec: BuildSpec, recipe: Recipe, layer: Path) -> None:
        building = StartSpec(
            image=HOST_IMAGE,
            name="build",
            network=NetworkRules(mode="public", private=True),
            limits=Limits(pids=4096),
        )
        sandbox = await self._open_box(building, {}, "/")
        try:
            for step in recipe.steps:
                await _do(sandbox, step, spec)
            sandbox.box.stop()
            await asyncio.to_thread(_keep, sandbox.box.folder / "upper", layer, recipe)
        finally:
            await sandbox.close()

    async def start(self, spec: StartSpec) -> Sandbox:
        """Start a box over the host's system and the image's layer."""
        env: dict[str, str] = {}
        workdir = "/"
        if spec.image != HOST_IMAGE:
            try:
                text = (self._base / "layers" / spec.image / "config.json").read_text()
            except OSError as error:
                problem = f"no image {spec.image}: build it first"
                raise InfrastructureError(Cause.SANDBOX_START, problem) from error
            config = json.loads(text)
            env, workdir = config["env"], config["workdir"]
        return await self._open_box(spec, env, workdir)

    async def _open_box(
        self, spec: StartSpec, env: dict[str, str], workdir: str
    ) -> BubblewrapSandbox:
        host = await self._prepared()
        owner = this_process()
        folder = (
            self._base / "boxes" / f"{owner.pid}-{owner.started}-{id(self):x}-{next(self._numbers)}"
        )
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise InfrastructureError(Cause.SANDBOX_START, str(error)) from error
        layers = [] if spec.image == HOST_IMAGE else [self._base / "layers" / spec.image]
        box = Box(
            folder,
            host,
            layers=layers,
            limits=spec.limits,
            labels={**spec.labels, "name": spec.name},
        )
        whole = {**LOWEST_ENVIRONMENT, "HOME": "/root", "HOSTNAME": HOSTNAME}
        whole |= {**(ENVIRONMENT if spec.network.mode != "none" else {}), **env, **spec.env}
        sandbox = BubblewrapSandbox(
            box, spec.workdir or workdir, whole, spec.network, self._open.discard
        )
        self._open.add(sandbox)
        try:
            await box.start()
            await sandbox.begin()
            if spec.workdir:
                await sandbox.exec(
                    'mkdir -p -- "$WANTED"', timeout_s=30, cwd="/", env={"WANTED": spec.workdir}
                )
        except BaseException:
            await sandbox.close()
            raise
        return sandbox

    def discard(self, sandbox: Sandbox) -> None:
        """Close a sandbox without waiting for it; `reap` and `close` wait."""
        self._closings.begin(sandbox)

    async def reap(self, *, labels: Mapping[str, str] | None = None) -> int:
        """Remove boxes whose owner is dead, and those with `labels`."""
        await self._closings.wait()
        return await asyncio.to_thread(self._reap, labels or {})

    def _reap(self, labels: Mapping[str, str]) -> int:
        removed = 0
        mine = {sandbox.box.folder: sandbox for sandbox in self._open}
        for folder in sorted((self._base / "boxes").glob("*")):
            state = _read_state(folder)
            owner = Owner.parse(state["host"], state["pid"], state["started"]) if state else None
            wanted = state is not None and carries(state["labels"], labels)
            if wanted and folder in mine:
                mine[folder].box.remove()
                removed += 1
            elif wanted or _abandoned(folder, owner):
                remove_left(folder, state["processes"] if state else [])
                removed += 1
        for left in self._base.glob(f"layers/{_MAKING}*"):
            _remove_unless_made(left)
        return removed

    async def close(self) -> None:
        """Close what is still open."""
        for sandbox in list(self._open):
            self._closings.begin(sandbox)
        await self._closings.wait()


def _abandoned(folder: Path, owner: Owner | None) -> bool:
    if owner is None:  # killed before it wrote who it is: the folder's name says
        pid, started, *_ = folder.name.split("-")
        here = this_process().host
        owner = Owner.parse(here, pid, started)
    return owner is None or not owner.alive()


def _read_state(folder: Path) -> dict[str, Any] | None:
    try:
        state: dict[str, Any] = json.loads((folder / "owner.json").read_text())
    except (OSError, ValueError):
        return None
    return state


async def _do(
    sandbox: BubblewrapSandbox, step: RunInstruction | CopyInstruction | Workdir, spec: BuildSpec
) -> None:
    if isinstance(step, Workdir):
        step = RunInstruction(f"mkdir -p -- '{step.path}'", {}, "/")
    if isinstance(step, CopyInstruction):
        for source in step.sources:
            if source.is_dir():
                await sandbox.copy_in(source, step.target.rstrip("/") or "/")
                continue
            target = f"{step.target}{source.name}" if step.target.endswith("/") else step.target
            mode = step.mode if step.mode is not None else source.stat().st_mode & 0o777
            await sandbox.write_files({target: source.read_bytes()}, mode=mode)
        if step.mode is not None and any(source.is_dir() for source in step.sources):
            step = RunInstruction(f"chmod -R {step.mode:o} '{step.target}'", {}, "/")
        else:
            return
    result = await sandbox.exec(
        step.command, timeout_s=spec.timeout_s, cwd=step.workdir, env=step.env
    )
    if result.exit_code != 0:
        problem = f"RUN {step.command}: exit code {result.exit_code} ({spec.context_dir})"
        raise InfrastructureError(Cause.IMAGE_BUILD, f"{problem}\n{result.output[-LOG_TAIL:]}")


def _lock_of(layer: Path) -> Path:
    """Return the file whoever makes a layer holds locked."""
    return layer.parent / f".{layer.name}.lock"


def _remove_unless_made(making: Path) -> None:
    """Remove what is left of a layer; one that a process is at the moment making is let be."""
    layer = making.parent / making.name.removeprefix(_MAKING)
    with contextlib.suppress(Timeout), FileLock(_lock_of(layer), blocking=False):
        remove_tree(making)


def _keep(upper: Path, layer: Path, recipe: Recipe) -> None:
    making = layer.parent / f"{_MAKING}{layer.name}"
    remove_tree(making)
    upper.rename(making)
    config = {"env": dict(recipe.env), "workdir": recipe.workdir}
    write_atomic(making / "config.json", json.dumps(config))
    remove_tree(layer)
    making.rename(layer)
