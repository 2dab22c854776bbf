"""Whether bubblewrap works on this machine."""

import os
import shutil

from grindstone.sandbox.bubblewrap.host import SYSTEM, enter_namespace, mode
from grindstone.sandbox.capabilities import Tool, ask

NAME = "bubblewrap"


def probe() -> tuple[Tool, ...]:
    """Return bubblewrap, tried; blocks for up to a few seconds."""
    remedy = "sudo apt-get install bubblewrap uidmap"
    for program in ("bwrap", "unshare"):
        if shutil.which(program) is None:
            return (Tool(name=NAME, works=False, reason=f"{program} is missing", remedy=remedy),)
    version = ask(["bwrap", "--version"])
    # Not all of /: a container engine's mounts below it come and go while they are bound.
    binds = " ".join(f"--ro-bind-try /{folder} /{folder}" for folder in SYSTEM)
    bare = f"bwrap {binds} --proc /proc --unshare-pid --unshare-net true"
    tried = ask([*enter_namespace(), "sh", "-c", bare])
    if tried is None or tried.returncode != 0:
        reason = tried.stderr.strip()[:300] if tried else "it does not answer"
        allow = "sudo sysctl -w kernel.unprivileged_userns_clone=1"
        remedy = remedy if os.geteuid() == 0 else allow
        return (Tool(name=NAME, works=False, reason=reason, remedy=remedy),)
    text = version.stdout.split()[-1] if version and version.stdout else ""
    return (Tool(name=NAME, works=True, version=text, detail=mode()),)
