"""Pods as a kubelet makes them: `runc` containers in user, network, PID and mount namespaces of
their own, whose files are those of an image that Docker has.

What a node has and this has not: cgroups of version 2, ownership by id-mapped mounts (files are
given to the pods' users once, as an image is first used), AppArmor, most of the usual seccomp
profile.
"""

import asyncio
import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from support.sandboxes import IMAGES as ENGINES

FIRST_USER = 1_000_000
"""Who root of a pod is on this machine."""

USERS = 65_536

IMAGES = {ENGINES["kubernetes"]: ENGINES["docker"]}
"""What nodes can pull, and what it is on this machine's engine."""

NAME_SERVER = "192.0.2.53"
"""Set aside for documentation (RFC 5737): what a pod reaches where no policy is enforced."""

_API = "KUBERNETES_PORT_443_TCP"
_SERVICE = {
    **{"KUBERNETES_SERVICE_HOST": "192.0.2.1", "KUBERNETES_SERVICE_PORT": "443"},
    **{"KUBERNETES_SERVICE_PORT_HTTPS": "443", "KUBERNETES_PORT": "tcp://192.0.2.1:443"},
    **{_API: "tcp://192.0.2.1:443", f"{_API}_PROTO": "tcp", f"{_API}_PORT": "443"},
    f"{_API}_ADDR": "192.0.2.1",
}
"""What a kubelet adds to the variables of every container, unless the pod names them."""

_LISTEN = f"""
import socket
door = socket.create_server(("{NAME_SERVER}", 53))
print("listens", flush=True)
while True:
    door.accept()
"""

_MOUNTS = [
    ("proc", "/proc", "proc", []),
    ("tmpfs", "/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
    ("devpts", "/dev/pts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "gid=5"]),
    ("shm", "/dev/shm", "tmpfs", ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
    ("sysfs", "/sys", "sysfs", ["nosuid", "noexec", "nodev", "ro"]),
    ("cgroup", "/sys/fs/cgroup", "cgroup", ["nosuid", "noexec", "nodev", "relatime", "ro"]),
]
_MASKED = ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug", "/sys/firmware"]
_READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]


class Node:
    """This machine as a node."""

    def __init__(self, *, enforces: bool, pids: int = 128) -> None:
        self.enforces = enforces  # what network policies say
        self.pids = pids  # podPidsLimit
        self.base = Path(tempfile.mkdtemp(prefix="grindstone-node-", dir="/var/tmp"))
        self.base.chmod(0o711)
        (self.base / "resolv.conf").write_text(f"nameserver {NAME_SERVER}\n")
        self._images: dict[str, Path] = {}
        self._listeners: dict[str, subprocess.Popen[str]] = {}

    def close(self) -> None:
        for folder in self.base.glob("pods/*"):
            self.end(folder.name)
        shutil.rmtree(self.base, ignore_errors=True)
        for group in [
            *Path("/sys/fs/cgroup").glob("grindstone-pods"),
            *Path("/sys/fs/cgroup").glob("*/grindstone-pods"),
        ]:
            with contextlib.suppress(OSError):  # another node of this machine uses it
                group.rmdir()

    def runc(self, *arguments: str) -> list[str]:
        return ["runc", "--root", str(self.base / "runc"), *arguments]

    def pull(self, image: str) -> Path | None:
        """Return an image's files as the pods' users own them, None where nobody has it."""
        name = IMAGES.get(image)
        if name is None:
            return None
        if name not in self._images:
            root = self.base / "images" / str(len(self._images))
            root.mkdir(parents=True)
            made = _docker("create", name, "true")
            subprocess.run(
                f"docker export {made} | tar -x --numeric-owner -C {root} --exclude 'usr/share/*'",
                shell=True,
                check=True,
            )
            _docker("rm", made)
            for folder, folders, files in os.walk(root):
                for path in [Path(folder, each) for each in (*folders, *files)]:
                    _hand_over(path)
            _hand_over(root)
            self._images[name] = root
        return self._images[name]

    def start(self, uid: str, pod: dict[str, Any], files: dict[str, Any]) -> None:
        """Start a pod's container; `files` are the config maps that it mounts."""
        [container] = pod["spec"]["containers"]
        assert pod["spec"]["hostUsers"] is False
        image = self.pull(container["image"])
        assert image is not None
        folder = self.base / "pods" / uid
        for name in ("upper", "work", "rootfs"):
            (folder / name).mkdir(parents=True)
            os.chown(folder / name, FIRST_USER, FIRST_USER)
        layers = f"lowerdir={image},upperdir={folder}/upper,workdir={folder}/work"
        subprocess.run(
            ["mount", "-t", "overlay", "overlay", "-o", layers, folder / "rootfs"], check=True
        )
        mounts = [self._mounted(folder, mount, pod, files) for mount in container["volumeMounts"]]
        (folder / "config.json").write_text(json.dumps(self._bundle(uid, pod, mounts)))
        with (folder / "log").open("w") as log:
            done = subprocess.run(
                self.runc("run", "--detach", "--bundle", str(folder), uid),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
            )
        assert done.returncode == 0, (folder / "log").read_text()
        if self.enforces:
            self._enter(uid, "ip", "link", "add", "eth0", "type", "bridge")  # which leads nowhere
        else:
            self._connect(uid)

    def _mounted(
        self, folder: Path, mount: dict[str, Any], pod: dict[str, Any], files: dict[str, Any]
    ) -> dict[str, Any]:
        """Lay a config map out as a kubelet does: what is seen are links into one folder."""
        [volume] = [v["configMap"] for v in pod["spec"]["volumes"] if v["name"] == mount["name"]]
        laid = folder / f"volume-{mount['name']}"
        for item in volume["items"]:
            path = laid / "..2026" / item["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(base64.b64decode(files[volume["name"]]["binaryData"][item["key"]]))
            path.chmod(volume["defaultMode"])
            first = item["path"].partition("/")[0]
            (laid / first).symlink_to(f"..data/{first}")
        (laid / "..data").symlink_to("..2026")
        assert mount["readOnly"] is True
        return _bind(laid, mount["mountPath"])

    def _bundle(self, uid: str, pod: dict[str, Any], mounts: list[Any]) -> dict[str, Any]:
        [container] = pod["spec"]["containers"]
        security, limits = container["securityContext"], container["resources"]["limits"]
        capabilities = [f"CAP_{name}" for name in security["capabilities"]["add"]]
        env = {"PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"}
        env |= _SERVICE
        env |= {each["name"]: each["value"].replace("$$(", "$(") for each in container["env"]}
        cpus = limits.get("cpu")
        ids = [{"containerID": 0, "hostID": FIRST_USER, "size": USERS}]
        return {
            "ociVersion": "1.0.2",
            "hostname": pod["spec"]["hostname"],
            "root": {"path": "rootfs"},
            "process": {
                "user": {"uid": security["runAsUser"], "gid": security["runAsGroup"]},
                "args": container["command"],
                "env": [f"{name}={value}" for name, value in env.items()],
                "cwd": container.get("workingDir", "/"),
                "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), capabilities),
                "noNewPrivileges": not security["allowPrivilegeEscalation"],
            },
            "mounts": [
                *(
                    {"source": source, "destination": to, "type": kind, "options": options}
                    for source, to, kind, options in _MOUNTS
                ),
                _bind(self.base / "resolv.conf", "/etc/resolv.conf"),
                *mounts,
            ],
            "linux": {
                "namespaces": [
                    {"type": kind} for kind in ("pid", "ipc", "uts", "mount", "user", "network")
                ],
                "uidMappings": ids,
                "gidMappings": ids,
                "cgroupsPath": f"/grindstone-pods/{uid}",
                **_filter(pod["spec"]["securityContext"]["seccompProfile"]["type"]),
                "maskedPaths": _MASKED,
                "readonlyPaths": _READ_ONLY,
                "resources": {
                    "devices": [{"allow": False, "access": "rwm"}],
                    "memory": {"limit": int(limits["memory"].removesuffix("Mi")) << 20},
                    "pids": {"limit": self.pids},
                    **({} if cpus is None else {"cpu": {"quota": int(cpus[:-1]) * 100}}),
                },
            },
        }

    def _connect(self, uid: str) -> None:
        self._enter(uid, "ip", "address", "add", f"{NAME_SERVER}/32", "dev", "lo")
        listener = subprocess.Popen(
            [*self._inside(uid), sys.executable, "-c", _LISTEN], stdout=subprocess.PIPE, text=True
        )
        assert listener.stdout is not None
        assert listener.stdout.readline() == "listens\n"
        self._listeners[uid] = listener

    def _inside(self, uid: str) -> list[str]:
        state = json.loads(subprocess.check_output(self.runc("state", uid)))
        return ["nsenter", "--target", str(state["pid"]), "--net"]

    def _enter(self, uid: str, *command: str) -> None:
        subprocess.run([*self._inside(uid), *command], check=True)

    async def execute(self, uid: str, command: list[str]) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self.runc("exec", uid, *command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    def end(self, uid: str) -> None:
        """End a pod's container and remove its files."""
        if listener := self._listeners.pop(uid, None):
            listener.send_signal(signal.SIGKILL)
            listener.wait()
            assert listener.stdout is not None
            listener.stdout.close()
        subprocess.run(self.runc("delete", "--force", uid), capture_output=True, check=False)
        folder = self.base / "pods" / uid
        subprocess.run(["umount", "-l", folder / "rootfs"], capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def _filter(profile: str) -> dict[str, Any]:
    """Return what of containerd's own profile a sealed run would meet."""
    if profile == "Unconfined":
        return {}
    denied = {"names": ["pivot_root"], "action": "SCMP_ACT_ERRNO"}
    return {"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [denied]}}


def _bind(source: Path, target: str) -> dict[str, Any]:
    options = ["rbind", "ro", "nosuid", "nodev"]
    return {"source": str(source), "destination": target, "type": "bind", "options": options}


def _docker(*arguments: str) -> str:
    return subprocess.check_output(["docker", *arguments], text=True).strip()


def _hand_over(path: Path) -> None:
    status = path.lstat()
    os.lchown(path, FIRST_USER + status.st_uid, FIRST_USER + status.st_gid)
    if not path.is_symlink():
        path.chmod(status.st_mode & 0o7777)  # a change of owner takes set-uid away


def missing() -> str:
    """Return what this machine lacks for it; empty where it has all."""
    if os.geteuid() != 0:
        return "mounting needs root"
    for command in (["runc", "--version"], ["docker", "info"], ["ip", "-V"]):
        try:
            subprocess.run(command, capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return f"{command[0]} does not work"
    return ""
