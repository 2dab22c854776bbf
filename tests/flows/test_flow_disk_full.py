"""A home's disk is full in the middle of a run: it is said, nothing is lost, the key goes on."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.wire_faults import WireFaults

pytestmark = [
    *(pytest.mark.server, pytest.mark.bubblewrap, pytest.mark.slow),
    pytest.mark.timeout(400),
]

IN_THE_FIRST_ATTEMPT = 3
FULL = "no space left on device; expected free space on that disk"


class SmallDisk:
    """A disk of 100 MB in a mount namespace of its own, seen from outside through `/proc`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        script = 'mount -t tmpfs -o size=100m tmpfs "$1" && echo there && exec cat'
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", script, "sh", root],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"there\n"
        self._filler = Path(f"/proc/{self._holder.pid}/root{root}/filler")

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = (sys.executable, "-m", "grindstone.flows.cli", *arguments)
        return subprocess.run(
            ["nsenter", "--target", str(self._holder.pid), "--mount", *command],
            env={**os.environ, "GRINDSTONE_WORK_DIR": str(self.root / "home"), **environment},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    def fill(self) -> None:
        with self._filler.open("wb", buffering=0) as filler:
            for size in (1 << 20, 1 << 12):
                try:
                    while True:
                        filler.write(b"\0" * size)
                except OSError:
                    pass

    def make_room(self) -> None:
        self._filler.unlink()

    def close(self) -> None:
        self._holder.communicate()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    if (
        shutil.which("nsenter") is None
        or subprocess.run(
            ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs "$1"', "sh", tmp_path],
            capture_output=True,
            check=False,
        ).returncode
    ):
        pytest.skip("mounts need privileges")
    made = SmallDisk(tmp_path)
    yield made
    made.close()


def test_a_run_says_that_its_disk_is_full_and_goes_on_after(disk: SmallDisk, rehearsal_url: str):
    grind = ("grind", "--run-key", "K", "--model-id", "rehearsal", "--sandbox", "bubblewrap")
    grind += ("--native-profile", "strands", "--task-ids", "crlf-kit", "--max-cycles", "2")

    def fill(count: int) -> None:
        if count == IN_THE_FIRST_ATTEMPT:
            disk.fill()

    with WireFaults(rehearsal_url, after_answer=fill) as proxy:
        ended = disk.run(*grind, GRINDSTONE_REHEARSAL_URL=proxy.url)
        assert ended.returncode == 3, ended.stderr
        assert "Traceback" not in ended.stderr
        assert "a fault of Grindstone itself" not in ended.stderr
        assert FULL in ended.stderr
        assert "Go on: grindstone grind" in ended.stderr
        assert disk.run("runs").stdout.startswith("run "), "what is there can be read"
        for writing in (grind, ("up", "--port", "1")):
            refused = disk.run(*writing)
            assert (refused.returncode, refused.stderr.count(FULL)) == (3, 1), refused.stderr
        disk.make_room()
        done = disk.run(*grind, GRINDSTONE_REHEARSAL_URL=proxy.url)
        assert done.returncode == 0, done.stderr
    twice = sum(count - 1 for count in proxy.delivered.values())
    assert twice <= 1, "a full disk costs the call whose answer it could not keep"
