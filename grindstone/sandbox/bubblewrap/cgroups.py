"""Limits on a bubblewrap sandbox, where this process may make control groups (v1 or v2)."""

import contextlib
import os
import time
from pathlib import Path
from typing import NamedTuple

from grindstone.sandbox.protocol import Limits
from grindstone.sandbox.usage import kills_in

ROOT = Path("/sys/fs/cgroup")

PERIOD_US = 100_000


class Groups(NamedTuple):
    """The control groups of one sandbox; empty where none can be made."""

    folders: tuple[Path, ...]

    @property
    def enforced(self) -> bool:
        """Whether there is any."""
        return bool(self.folders)

    def files(self) -> list[Path]:
        """Return the files that a process writes to join them."""
        return [folder / "cgroup.procs" for folder in self.folders]

    def join(self) -> str:
        """Return shell commands that put the shell into them."""
        return "".join(f"echo $$ >{file}\n" for file in self.files())

    def memory_kills(self) -> int:
        """Return how many of their processes the kernel ended for memory."""
        return max(
            (
                kills_in((folder / name).read_text())
                for folder in self.folders
                for name in ("memory.oom_control", "memory.events")
                if (folder / name).exists()
            ),
            default=0,
        )

    def remove(self) -> None:
        """Remove them; their processes may take a moment to be gone."""
        for folder in self.folders:
            for _ in range(50):
                try:
                    folder.rmdir()
                except FileNotFoundError:
                    break
                except OSError:
                    time.sleep(0.01)
                else:
                    break


def groups_can_be_made() -> bool:
    """Whether this process may limit a sandbox's memory and processors."""
    places = [ROOT] if (ROOT / "cgroup.controllers").exists() else [ROOT / "memory", ROOT / "cpu"]
    return os.geteuid() == 0 and all(os.access(place, os.W_OK) for place in places)


def make_groups(name: str, limits: Limits) -> Groups:
    """Make the groups for a sandbox's limits; those that cannot be made are left out."""
    if os.geteuid() != 0:
        return Groups(())
    if (ROOT / "cgroup.controllers").exists():
        return _unified(name, limits)
    made = []
    for controller, values in _v1_values(limits).items():
        folder = ROOT / controller / "grindstone" / name
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            made.append(folder)
            for file, value in values:
                with contextlib.suppress(OSError):  # no swap accounting, say
                    (folder / file).write_text(value)
    return Groups(tuple(made))


def _v1_values(limits: Limits) -> dict[str, list[tuple[str, str]]]:
    values = {"pids": [("pids.max", str(limits.pids))]}
    amount = str(limits.memory_limit_mb << 20)
    values["memory"] = [
        ("memory.limit_in_bytes", amount),
        ("memory.memsw.limit_in_bytes", amount),
    ]
    if limits.cpus:
        quota = str(max(int(limits.cpus * PERIOD_US), 1000))
        values["cpu"] = [("cpu.cfs_period_us", str(PERIOD_US)), ("cpu.cfs_quota_us", quota)]
    return values


def _unified(name: str, limits: Limits) -> Groups:
    top = ROOT / "grindstone"
    folder = top / name
    try:
        top.mkdir(exist_ok=True)
        for place in (ROOT, top):
            for controller in ("pids", "memory", "cpu"):
                with contextlib.suppress(OSError):
                    (place / "cgroup.subtree_control").write_text(f"+{controller}")
        folder.mkdir()
    except OSError:
        return Groups(())
    values = [
        ("pids.max", str(limits.pids)),
        ("memory.max", str(limits.memory_limit_mb << 20)),
        ("memory.swap.max", "0"),
    ]
    if limits.cpus:
        quota = max(int(limits.cpus * PERIOD_US), 1000)
        values.append(("cpu.max", f"{quota} {PERIOD_US}"))
    for file, value in values:
        with contextlib.suppress(OSError):
            (folder / file).write_text(value)
    return Groups((folder,))


def remove_named(name: str) -> None:
    """Remove a dead sandbox's groups."""
    places = [ROOT / "grindstone" / name]
    places += [ROOT / controller / "grindstone" / name for controller in ("pids", "memory", "cpu")]
    Groups(tuple(place for place in places if place.is_dir())).remove()
