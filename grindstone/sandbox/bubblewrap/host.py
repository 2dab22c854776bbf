"""What of the host a bubblewrap sandbox is made of: programs and libraries, and no secrets.

What is shown is listed, so a new folder on the host is hidden until someone lists it here.
`OVERLAID` folders are shown as they are, below a writable layer. /etc is copied: of the
names in `ETC`, what every user of the host may read. All else starts empty.
"""

import contextlib
import os
import pwd
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Literal, NamedTuple

from grindstone.digest import SHORT, digest_files
from grindstone.errors import Cause, InfrastructureError
from grindstone.resources import cache_dir
from grindstone.sandbox.protocol import HOSTNAME
from grindstone.sandbox.runner import runner_binary

SYSTEM = ("bin", "lib", "lib32", "lib64", "libx32", "sbin", "usr")
"""Top-level folders with programs; on most systems links into /usr."""

OVERLAID = (*SYSTEM, "var/lib/dpkg", "var/lib/apt")
"""Folders of the host below a writable layer (the package manager's records among them)."""

HIDDEN = ("usr/local/etc",)
"""Folders below those that hold the machine's own settings, which may have keys in them (an npmrc):
they are empty inside."""

ETC = (
    *("adduser.conf", "alternatives", "apt", "bash.bashrc", "bindresvport.blacklist"),
    *("ca-certificates", "ca-certificates.conf", "debconf.conf", "debian_version", "default"),
    *("deluser.conf", "dpkg", "environment", "fonts", "gai.conf", "group", "host.conf"),
    *("inputrc", "issue", "java-17-openjdk", "java-21-openjdk", "ld.so.cache", "ld.so.conf"),
    *("ld.so.conf.d", "locale.alias", "locale.gen", "localtime", "login.defs", "lsb-release"),
    *("magic", "magic.mime", "manpath.config", "mime.types", "networks", "nsswitch.conf"),
    *("os-release", "pam.conf", "pam.d", "passwd", "perl", "pip.conf", "pki", "profile"),
    *("protocols", "python3", "python3.11", "python3.12", "python3.13", "resolv.conf", "rpc"),
    *("security", "services", "shells", "skel", "ssl", "terminfo", "timezone", "ucf.conf"),
    *("vim", "wgetrc", "xattr.conf", "xml"),
)

EMPTY = (
    *("boot", "dev", "home", "media", "mnt", "opt", "proc", "run", "run/lock", "srv", "sys"),
    *("var/backups", "var/cache", "var/cache/apt/archives/partial", "var/lib", "var/local"),
    *("var/log", "var/log/apt", "var/mail", "var/opt", "var/spool", ".grindstone"),
)

SECRET_MARKS = (b"://", b"@")
"""A world-readable pip.conf or apt source with `scheme://user:secret@host` is left out."""

Mode = Literal["root", "rootless"]


class Host(NamedTuple):
    """What sandboxes on this machine are started with."""

    mode: Mode
    skeleton: Path  # the lowest layer of a sandbox's root
    runner: Path  # the folder shown at RUNNER_DIR
    folders: Path  # rootless: empty, for the sandbox's root to own
    hidden: Path  # empty, in the place of what is below


def mode() -> Mode:
    """Return whether overlays are mounted with root's rights or in a user namespace."""
    return "root" if os.geteuid() == 0 else "rootless"


def enter_namespace() -> list[str]:
    """Return the command that runs another where mounting is allowed and stays unseen."""
    command = ["unshare", "--mount", "--propagation", "private"]
    if mode() == "rootless":
        command += ["--user", "--map-root-user"]
        if _has_subordinate_ids():
            command.append("--map-auto")
    return [*command, "--"]


def _has_subordinate_ids() -> bool:
    wanted = {str(os.getuid())}
    with contextlib.suppress(KeyError):  # in a container a user may have no name
        wanted.add(pwd.getpwuid(os.getuid()).pw_name)
    for name in ("/etc/subuid", "/etc/subgid"):
        try:
            lines = Path(name).read_text().splitlines()
        except OSError:
            return False
        if not wanted & {line.split(":")[0] for line in lines}:
            return False
    return shutil.which("newuidmap") is not None


def prepare() -> Host:
    """Make the skeleton and the runner's folder unless they are there.

    Raises:
        InfrastructureError: SANDBOX_START, the cache folder cannot be used.
    """
    base = cache_dir() / "bubblewrap"
    files = {f"etc/{name}": content for name, content in _etc_files()}
    links = dict(_links())
    content = runner_binary(os.uname().machine).read_bytes()
    key = digest_files(
        [
            *((name, data, False) for name, data in files.items()),
            *((name, b"link:" + os.fsencode(target), False) for name, target in links.items()),
            *((name, b"folder", False) for name in EMPTY),
            *((name, b"hidden", False) for name in _hidden()),
            ("runner", content, True),
        ]
    )[:SHORT]
    made = base / f"host-{key}"
    try:
        if not made.exists():
            base.mkdir(parents=True, exist_ok=True)
            base.chmod(0o700)
            building = base / f".host-{key}-{os.getpid()}-{threading.get_ident()}"
            remove_tree(building)
            _write(building, files, links, content)
            try:
                building.rename(made)
            except OSError:  # another process was first
                remove_tree(building)
    except OSError as error:
        raise InfrastructureError(Cause.SANDBOX_START, f"{base}: {error}") from error
    return Host(mode(), made / "root", made / "runner", made / "folders", made / "hidden")


def _write(where: Path, files: dict[str, bytes], links: dict[str, str], runner: bytes) -> None:
    root = where / "root"
    for name in (*EMPTY, *OVERLAID):
        if not Path("/", name).is_symlink() and (name not in OVERLAID or Path("/", name).is_dir()):
            (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("tmp", "var/tmp"):
        (root / name).mkdir(parents=True)
        (root / name).chmod(0o1777)
    (root / "root").mkdir()
    (root / "root").chmod(0o700)
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    for name, target in links.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(target)
    names = [line.split(b":")[0].decode() for line in files.get("etc/passwd", b"").splitlines()]
    (root / "etc/shadow").write_text("".join(f"{name}:*:19000::::::\n" for name in names))
    (root / "etc/shadow").chmod(0o640)
    (root / "etc/hosts").write_text("127.0.0.1 localhost sandbox\n::1 localhost\n")
    (root / "etc/hostname").write_text(f"{HOSTNAME}\n")
    root.chmod(0o755)
    for name in _owned():
        (where / "folders" / name).mkdir(parents=True, exist_ok=True)
    opaque = "trusted.overlay.opaque" if mode() == "root" else "user.overlay.opaque"
    for name in _hidden():
        (where / "hidden" / name).mkdir(parents=True)
        os.setxattr(where / "hidden" / name, opaque, b"y")
    (where / "runner/root").mkdir(parents=True)
    (where / "runner/runner").write_bytes(runner)
    (where / "runner/runner").chmod(0o755)


def _hidden() -> list[str]:
    """Return what is hidden, as far as it is there and nothing on the way to it is a link."""
    return [name for name in HIDDEN if Path("/", name).is_dir() and _is_itself(Path("/", name))]


def _is_itself(path: Path) -> bool:
    return path.resolve() == path


def _owned() -> list[str]:
    """Return the host's folders that a rootless sandbox may write to.

    The host's root is no one there, and no one's folders cannot be written to. A layer that
    has the same folders and nothing in them lends them its own owner.
    """
    found = []
    for top, depth in (("usr", 2), ("usr/local", 5)):
        for folder, inner, _ in os.walk(Path("/", top)):
            if len(Path(folder).relative_to(Path("/", top)).parts) >= depth:
                inner.clear()
            found.append(folder.lstrip("/"))
    return found


def _etc_files() -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for path in _etc_paths():
        if path.is_symlink() and not _leaves_etc(path):
            continue
        if path.is_file() and path.stat().st_mode & 0o004:
            content = path.read_bytes()
            if not _holds_credentials(content):
                found.append((path.relative_to("/etc").as_posix(), content))
    return found


def _holds_credentials(content: bytes) -> bool:
    for line in content.splitlines():
        scheme, _, rest = line.partition(SECRET_MARKS[0])
        if scheme and SECRET_MARKS[1] in rest.split(b"/")[0]:
            return True
    return False


def _leaves_etc(path: Path) -> bool:
    """Whether a link's target would not be there inside (resolv.conf below /run, say)."""
    target = path.resolve()
    return target.parts[1:2] not in (("etc",), *((name,) for name in SYSTEM))


def _etc_paths() -> list[Path]:
    paths: list[Path] = []
    for name in ETC:
        top = Path("/etc", name)
        if top.is_dir() and not top.is_symlink():
            paths += [path for path in sorted(top.rglob("*")) if "private" not in path.parts]
        elif top.is_symlink() or top.exists():
            paths.append(top)
    return [path for path in paths if not path.name.startswith("auth.conf")]


def _links() -> list[tuple[str, str]]:
    found = [(name, str(Path("/", name).readlink())) for name in SYSTEM if _is_link(name)]
    for path in _etc_paths():
        if path.is_symlink() and not _leaves_etc(path):
            found.append((path.relative_to("/").as_posix(), str(path.readlink())))
    return [*found, ("var/run", "/run"), ("var/lock", "/run/lock"), ("etc/mtab", "/proc/mounts")]


def _is_link(name: str) -> bool:
    return Path("/", name).is_symlink()


def remove_tree(path: Path) -> None:
    """Remove a folder, whatever was made in it; what cannot be removed stays for the next sweep.

    `rm` walks by descriptors: neither a depth nor a name that Python's walk cannot take
    keeps it, and in a user namespace it is the owner of whatever users there made.
    """
    if path.exists():
        entering = enter_namespace() if mode() == "rootless" else []
        subprocess.run([*entering, "rm", "-rf", "--", str(path)], capture_output=True, check=False)
