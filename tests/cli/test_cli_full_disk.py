"""A command for whose files there is no room says which, and what would help."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from grindstone.flows.cli.ending import ending_of

pytestmark = pytest.mark.commands

COMMAND = Path(sys.executable).with_name("grindstone")


@pytest.fixture
def small_disk(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command in a mount namespace where `./small` has three megabytes."""
    (tmp_path / "small").mkdir()
    mount = "mount -t tmpfs -o size=3m tmpfs small"
    if (
        shutil.which("unshare") is None
        or subprocess.run(
            ["unshare", "--mount", "sh", "-c", mount],
            cwd=tmp_path,
            check=False,
            capture_output=True,
        ).returncode
    ):
        pytest.skip("mounts need privileges")

    def command(*arguments: str, filled: bool = False) -> subprocess.CompletedProcess[str]:
        fill = "dd if=/dev/zero of=small/filler bs=4k 2>/dev/null;" if filled else ""
        script = f'{mount} && {{ {fill} exec "$@"; }}'
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, "sh", COMMAND, *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return command


def test_a_full_disk(small_disk):
    done = small_disk("grind", "--work-dir", "small", "--model-id", "rehearsal")
    assert done.returncode == 3, done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("grindstone: ")
    assert last.endswith("small: no space left on device; expected free space on that disk")


def test_a_full_disk_is_told_as_json_too(small_disk):
    done = small_disk("grind", "--work-dir", "small", "--model-id", "rehearsal", "--json")
    error = json.loads(done.stdout)["error"]
    assert (error["exit_code"], error["kind"]) == (3, "system")
    assert "no space left on device" in error["message"]


def test_a_file_for_which_there_is_no_room_is_named(small_disk):
    done = small_disk("audit", "keys", "small/key.pem", filled=True)
    told = "small/key.pem: no space left on device; expected free space on that disk"
    assert (done.returncode, told in done.stderr) == (3, True), done.stderr


def test_the_first_file_of_a_folder_for_which_there_is_no_room_is_named(tmp_path: Path):
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "file").write_text("x")

    def copy(source: str, _place: str) -> None:
        with Path("/dev/full").open("w") as full:
            full.write(Path(source).read_text())

    with pytest.raises(shutil.Error) as raised:
        shutil.copytree(tmp_path / "from", tmp_path / "to", copy_function=copy)
    [told] = ending_of(raised.value).sentences
    place = tmp_path / "to" / "file"
    assert told == f"{place}: no space left on device; expected free space on that disk"
