"""Whether a command reaches for the machine under a container: its root, disks, processes."""

import posixpath
import re
from collections.abc import Iterator

from grindstone.graduation.constitution.shell_command import Command
from grindstone.graduation.constitution.written_paths import option_values

_RUNNERS = frozenset({"docker", "podman", "nerdctl", "lima"})
_HOLDS_HOST = re.compile(r"^/(|etc|root|home|boot|proc|sys|dev|var|usr|var/lib|var/lib/docker)$")
_ENGINE = re.compile(r"^(/var)?/run/((docker|podman/podman|crio/crio)\.sock|containerd(/.*)?)$")
_DISK = re.compile(r"^/dev/(sd|nvme|vd|hd|xvd|mmcblk|dm-|mapper/|disk/)")


def reaches_host(command: Command) -> bool:
    """Tell whether a command mounts a host's root or a system folder of it, or enters the host."""
    program, words = command.program, set(command.arguments)
    if program in _RUNNERS and {"run", "create"} & words:
        devices = option_values(command, ("--device",))
        return (
            any(map(_is_host, _mounted(command)))
            or any(_DISK.match(each) for each in devices)
            or ("--privileged" in words and bool({"--pid=host", "host"} & words))
        )
    if program == "nsenter":
        targets = [*option_values(command, ("-t", "--target"))]
        return "1" in targets or bool({"-t1", "--target=1"} & words)
    if program == "mount":
        bound = {"--bind", "--rbind", "-B", "-R"} & words or "bind" in " ".join(words)
        sources = [command.path(each) for each in command.operands[:-1]]
        return any(_DISK.match(each) or (bound and each == "/") for each in sources)
    return False


def _mounted(command: Command) -> Iterator[str]:
    """Yield what of the host a container is given."""
    for value in option_values(command, ("-v", "--volume")):
        if ":" in value:
            yield value.split(":", 1)[0]
    for value in option_values(command, ("--mount",)):
        found = re.search(r"(?:^|,)(?:source|src)=([^,]*)", value)
        if found and "type=volume" not in value:
            yield found[1]
    for word in command.arguments:
        if word.startswith("-v/"):
            yield word[2:].split(":", 1)[0]


def _is_host(path: str) -> bool:
    if not path.startswith("/"):
        return False
    place = posixpath.normpath("/" + path.lstrip("/"))
    return bool(_HOLDS_HOST.match(place) or _ENGINE.match(place))
