"""Runs the agent's programs as a user who can neither read the tests nor write the reward."""

import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534


def mapped(uid):
    """Return whether this machine's sandbox has the user: without subordinate ids it does not."""
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        first, _, count = map(int, line.split())
        if first <= uid < first + count:
            return True
    return False


def run(command, **options):
    """Run a command and return what it printed, as `subprocess.run` does."""
    if "input" not in options:
        options["stdin"] = subprocess.DEVNULL
    environment = {**os.environ, "HOME": "/tmp", **options.pop("env", {})}
    dropped = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if mapped(NOBODY) else {}
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, **dropped, **options
    )


@contextmanager
def copied(project):
    """Give a copy of a folder to that user; links stay links."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        shutil.copytree(project, copy, symlinks=True)
        if mapped(NOBODY):
            for path in (Path(folder), copy, *copy.rglob("*")):
                os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        yield copy
