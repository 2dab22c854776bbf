"""One bubblewrap process that holds a sandbox's namespaces for as long as it lives.

Commands enter the namespaces one by one (`runner enter`), so services they leave running live
on between them. What is entered, and the program that is then executed, are descriptors that
were opened before anything of the agent's ran: whatever becomes of process 1 later, its
namespaces are not asked for again. The alternative, an init inside that takes commands over a
socket, would have to be trusted inside the sandbox with what it is told; here the inside holds
nothing.

The overlays are mounted in a mount namespace that only this process and its children are
in: when the sandbox dies, by whatever hand, the mounts are gone with it.
"""

import asyncio
import json
import os
import shlex
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from grindstone.errors import Cause, InfrastructureError
from grindstone.files import write_atomic
from grindstone.sandbox.bubblewrap.cgroups import make_groups, remove_named
from grindstone.sandbox.bubblewrap.host import OVERLAID, Host, enter_namespace, remove_tree
from grindstone.sandbox.network.doors import receive
from grindstone.sandbox.owner import start_time, this_process
from grindstone.sandbox.protocol import HOSTNAME, Limits
from grindstone.sandbox.remote import RUNNER, RUNNER_DIR

CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "KILL")

READ_ONLY_PROC = ("sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi")
"""Root writes there without any capability: /proc/sys/kernel/core_pattern alone is an escape."""

MASKED_PROC = (
    "kcore",
    "keys",
    "key-users",
    "latency_stats",
    "timer_list",
    "sched_debug",
    "kallsyms",
)

NAMESPACES = ("cgroup", "ipc", "uts", "net", "pid", "mnt")
"""In the order they are entered; the mount namespace last, the user's first where there is one."""

READY_S = 20.0

LOWEST_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
"""For programs that run outside, before the sandbox is entered."""


class Box:
    """A sandbox's folder, mounts and first process."""

    def __init__(
        self,
        folder: Path,
        host: Host,
        *,
        layers: Sequence[Path],
        limits: Limits,
        labels: dict[str, str],
    ) -> None:
        self.folder = folder
        self._host = host
        self._layers = layers
        self._labels = labels
        self.limits = limits
        self.groups = make_groups(folder.name, limits)
        self._process: subprocess.Popen[bytes] | None = None
        self.first = 0  # the first process inside, by its number outside
        self._namespaces: list[int] = []  # descriptors, as long as it runs
        self._program = -1  # the runner's, on the mount that is read-only inside

    async def start(self) -> None:
        """Mount and start; on a later call, start anew over the same files.

        The call must come from a thread that lives as long as the sandbox: the kernel ends
        bubblewrap with the thread that started it.
        """
        read = self._begin()
        try:
            await asyncio.wait_for(asyncio.to_thread(self._wait_ready, read), READY_S)
        except (TimeoutError, OSError, ValueError) as error:
            self.stop()
            raise InfrastructureError(Cause.SANDBOX_START, f"bubblewrap: {error}") from error
        except BaseException:
            self.stop()
            raise
        self._record()

    def _begin(self) -> int:
        read, write = os.pipe()
        try:
            self._process = subprocess.Popen(
                ["sh", "-ec", self._script(write)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[write],
                env=LOWEST_ENVIRONMENT,
                start_new_session=True,
            )
        finally:
            os.close(write)
        self._record()
        return read

    def _wait_ready(self, read: int) -> None:
        process = self._process
        assert process is not None and process.stdout and process.stderr
        with os.fdopen(read, "rb") as info:
            told = info.read()
        if process.stdout.readline() != b"ready\n":
            process.kill()
            problem = process.stderr.read().decode(errors="replace").strip()
            raise InfrastructureError(Cause.SANDBOX_START, f"bubblewrap: {problem}")
        self.first = int(json.loads(told)["child-pid"])
        self._open_ways_in(Path(f"/proc/{self.first}"))

    def _open_ways_in(self, process: Path) -> None:
        names = NAMESPACES if self._host.mode == "root" else ("user", *NAMESPACES)
        for name in names:
            self._namespaces.append(os.open(process / "ns" / name, os.O_RDONLY))
        self._program = os.open(f"{process}/root{RUNNER}", os.O_RDONLY)

    def _record(self) -> None:
        owner = this_process()
        pid = self._process.pid if self._process else 0
        state = {
            "host": owner.host,
            "pid": str(owner.pid),
            "started": owner.started,
            "labels": self._labels,
            "processes": [[one, start_time(one)] for one in (pid, self.first) if one],
        }
        write_atomic(self.folder / "owner.json", json.dumps(state))

    def _script(self, info: int) -> str:
        """Return shell lines that join the control groups, mount the overlays and become bwrap."""
        options = ",userxattr" if self._host.mode == "rootless" else ""
        lines = [f"cd {shlex.quote(str(self.folder))}", "mkdir -p root"]
        for name in ("", *OVERLAID):
            if name and (Path("/", name).is_symlink() or not Path("/", name).is_dir()):
                continue
            slot = name.replace("/", "-") or "rest"
            lower = [layer / slot for layer in self._layers if (layer / slot).is_dir()]
            if self._host.mode == "rootless" and name and (self._host.folders / name).is_dir():
                lower.append(self._host.folders / name)
            if name and (self._host.hidden / name).is_dir():
                lower.append(self._host.hidden / name)
            lower.append(Path("/", name) if name else self._host.skeleton)
            lines += [
                f"mkdir -p upper/{slot} work/{slot}",
                f"mount -t overlay overlay -o lowerdir={':'.join(str(one) for one in lower)},"
                f"upperdir=upper/{slot},workdir=work/{slot}{options} root/{name}",
            ]
        command = ["bwrap", "--bind", "root", "/", "--dev", "/dev", "--proc", "/proc"]
        for name in READ_ONLY_PROC:
            command += ["--ro-bind-try", f"/proc/{name}", f"/proc/{name}"]
        for name in MASKED_PROC:
            if Path("/proc", name).exists():
                command += ["--ro-bind", "/dev/null", f"/proc/{name}"]
        command += ["--ro-bind", str(self._host.runner), RUNNER_DIR]
        command += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
        command += [
            "--unshare-net",
            "--hostname",
            HOSTNAME,
            "--die-with-parent",
            "--new-session",
            "--as-pid-1",
        ]
        command += ["--cap-drop", "ALL", "--clearenv", "--chdir", "/", "--info-fd", str(info)]
        for name in CAPABILITIES:
            command += ["--cap-add", f"CAP_{name}"]
        inner = "\n".join(
            [*lines, f"exec {shlex.join([*command, '--', RUNNER, 'init', '--filter'])}"]
        )
        entering = shlex.join([*enter_namespace(), "sh", "-ec", inner])
        return f"{self.groups.join()}exec {entering}"

    def enter(self) -> tuple[list[str], list[int]]:
        """Return the command that runs the runner inside, with every privilege there is there.

        The runner's arguments are to follow it; the descriptors are to be passed on to it.
        """
        command = [str(self._host.runner / Path(RUNNER).name), "enter"]
        for file in self.groups.files():
            command += ["--group", str(file)]
        for descriptor in self._namespaces:
            command += ["--namespace", str(descriptor)]
        command += ["--program", str(self._program), "--"]
        return command, [*self._namespaces, self._program]

    def door(self, port: int) -> socket.socket:
        """Return a socket that listens inside, at a port of its loopback; blocks."""
        command, descriptors = self.enter()
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        with ours:
            with theirs:
                process = subprocess.Popen(
                    [*command, "listen", str(port)],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=descriptors,
                    env=LOWEST_ENVIRONMENT,
                )
            try:
                return receive(ours)
            finally:
                process.wait()

    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End every process inside; files stay."""
        process, self._process = self._process, None
        if process is None:
            return
        for pid in (self.first, process.pid):
            if pid:
                kill(pid)
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()
        for descriptor in (*self._namespaces, self._program):
            if descriptor >= 0:
                os.close(descriptor)
        self._namespaces, self._program = [], -1
        self.first = 0

    def remove(self) -> None:
        """End it and remove its files and groups."""
        self.stop()
        self.groups.remove()
        remove_tree(self.folder)


def kill(pid: int) -> None:
    """End a process that may be gone already."""
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def remove_left(folder: Path, processes: list[list[object]]) -> None:
    """Remove what a dead owner's sandbox left: processes, control groups and files."""
    for pid, started in processes:
        if isinstance(pid, int) and started is not None and start_time(pid) == started:
            kill(pid)
    remove_named(folder.name)
    remove_tree(folder)
