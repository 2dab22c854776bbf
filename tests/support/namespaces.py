"""Machines on one host: each has mounts, a network, processes and a name of its own.

A bridge joins them to the host, which has services at the bridge's address; they see no other
part of its network. Of the host's files they see programs, read-only, and one folder of their own,
at /tmp. A power cut ends all that runs on one at once and takes its files.
"""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

HOST_END = 1
"""Last number of the host's address; machines count on from there."""

SETUP = """
set -e
mount --make-rprivate /
hostname "$1"
mount -t proc proc /proc
mount --bind "$2" /tmp
mkdir -p /tmp/home
mount -o remount,bind,ro /
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o ro tmpfs /sys/fs/cgroup
ip link set lo up
echo made
read -r interface
ip address add "$3"/24 dev "$interface"
ip link set "$interface" up
echo joined
trap : TERM
while :; do sleep 3600 & wait $!; done
"""


def cannot_make_machines() -> str:
    """Return why namespaces cannot be made here, empty where they can."""
    if os.geteuid() != 0:
        return "machines in namespaces need root"
    for program in ("ip", "unshare", "nsenter", "hostname", "bash"):
        if shutil.which(program) is None:
            return f"machines in namespaces need {program}"
    tried = ["unshare", "--mount", "--uts", "--ipc", "--pid", "--net", "--fork", "true"]
    if subprocess.run(tried, capture_output=True, check=False).returncode:
        return "namespaces cannot be made here"
    return ""


class Machine:
    """One of them; what runs there is ended with it."""

    def __init__(self, name: str, folder: Path, network: "Network", address: str) -> None:
        """Make it, with an empty folder."""
        self.name, self.address, self._folder = name, address, folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        folder.chmod(0o1777)
        self._started: list[subprocess.Popen[bytes]] = []
        kinds = ("--mount", "--uts", "--ipc", "--pid", "--net")
        self._holder = subprocess.Popen(
            [
                *("unshare", *kinds, "--fork", "--kill-child"),
                *("bash", "-c", SETUP, "machine", name, str(folder), address),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._heard("made")
        self.first = children_of(self._holder.pid)[0]
        interface = network.join(self.first)
        assert self._holder.stdin is not None
        self._holder.stdin.write(f"{interface}\n")
        self._holder.stdin.flush()
        self._heard("joined")

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], log: str
    ) -> "subprocess.Popen[bytes]":
        """Start a command in /tmp there; what it prints goes into a file of that folder.

        The process returned is not the command itself, and ends as it does.
        """
        entered = ["nsenter", "--target", str(self.first)]
        entered += ["--mount", "--uts", "--ipc", "--net", "--pid"]
        with (self._folder / log).open("ab") as output:
            started = subprocess.Popen(
                [*entered, "sh", "-c", 'cd /tmp && exec "$@"', "sh", *command],
                env={**environment, "HOME": "/tmp/home", "TMPDIR": "/tmp"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self._started.append(started)
        return started

    def said(self, log: str) -> str:
        """Return what commands there have printed into a file."""
        return (self._folder / log).read_text(errors="replace")

    def processes(self) -> dict[int, str]:
        """Return the command lines of all that runs there, sandboxes' processes included."""
        found = {}
        own = _namespace(self.first)
        here = [pid for pid in _all() if pid != self.first and _namespace(pid) == own]
        for pid in {*here, *(below for one in here for below in _below(one))}:
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                found[pid] = b" ".join(words).decode(errors="replace").strip()
        return {pid: line for pid, line in found.items() if line and line != "sleep 3600"}

    def cut_power(self) -> None:
        """End everything there at once; its files are of no use to anybody."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.first, signal.SIGKILL)
        for process in (self._holder, *self._started):
            process.wait()
        for pipe in (self._holder.stdin, self._holder.stdout):
            if pipe is not None:
                pipe.close()

    def _heard(self, word: str) -> None:
        assert self._holder.stdout is not None
        if self._holder.stdout.readline().strip() != word:
            raise RuntimeError(f"the machine {self.name} could not be made")


class Network:
    """A bridge of the host, and the machines at it."""

    def __init__(self, folder: Path) -> None:
        """Take the folder that has each machine's own."""
        self._folder = folder
        self._name = f"gs{os.getpid() % 100_000}"
        self._net = f"10.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}"
        self._joined = 0
        self._machines: dict[str, Machine] = {}
        self._numbers: dict[str, int] = {}

    @property
    def host(self) -> str:
        """The address at which machines find the host."""
        return f"{self._net}.{HOST_END}"

    def __enter__(self) -> Self:
        _ip("link", "add", self._name, "type", "bridge")
        _ip("address", "add", f"{self.host}/24", "dev", self._name)
        _ip("link", "set", self._name, "up")
        return self

    def __exit__(self, *_: object) -> None:
        for machine in self._machines.values():
            machine.cut_power()
        for number in range(1, self._joined + 1):  # a network may outlive its last process
            cable = ["ip", "link", "delete", f"{self._name}-{number}"]
            subprocess.run(cable, capture_output=True, check=False)
        _ip("link", "delete", self._name)

    def machine(self, name: str) -> Machine:
        """Make a machine, in place of the one of that name that has lost its power."""
        number = self._numbers.setdefault(name, HOST_END + 1 + len(self._numbers))
        made = Machine(name, self._folder / name, self, f"{self._net}.{number}")
        self._machines[name] = made
        return made

    def join(self, first: int) -> str:
        """Give the network of a process an end of a cable to the bridge; return its name."""
        self._joined += 1
        here, there = f"{self._name}-{self._joined}", f"{self._name}+{self._joined}"
        cable = ("link", "add", here, "type", "veth", "peer", "name", there)
        _ip(*cable, "netns", str(first))
        _ip("link", "set", here, "master", self._name, "up")
        return there


def children_of(pid: int) -> list[int]:
    """Return the processes a process has started that nobody has waited for."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def _all() -> list[int]:
    return [int(path.name) for path in Path("/proc").glob("[0-9]*")]


def _namespace(pid: int) -> Path | None:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/ns/pid").readlink()
    return None


def _below(pid: int) -> Iterator[int]:
    for child in children_of(pid):
        yield child
        yield from _below(child)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
