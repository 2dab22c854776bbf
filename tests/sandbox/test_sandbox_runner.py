"""The runners that are shipped are what their source gives."""

import hashlib
import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from grindstone.sandbox.runner import runner_binary
from grindstone.sandbox.wire import LEFT, AnswerReader

HERE = Path(runner_binary("x86_64")).parent
SOURCE = HERE / "runner.c"


@pytest.mark.parametrize("processor", ["x86_64", "aarch64"])
def test_a_shipped_runner_was_made_from_this_source(processor: str) -> None:
    """Else: run runner/build.sh and commit what it makes."""
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()
    assert digest.encode() in runner_binary(processor).read_bytes()


@pytest.mark.commands
def test_the_shipped_runner_behaves_as_one_made_here(tmp_path: Path) -> None:
    processor = platform.machine()
    if shutil.which(f"{processor}-linux-gnu-gcc") is None:
        pytest.skip("no compiler")
    environment = {**os.environ, "OUT": str(tmp_path)}
    subprocess.run(["bash", HERE / "build.sh", processor], check=True, env=environment)
    made, shipped = tmp_path / f"runner-{processor}", runner_binary(processor)
    if made.read_bytes() == shipped.read_bytes():
        return
    (tmp_path / "file").write_bytes(b"content")  # another compiler's bytes differ
    for arguments in (
        ["source"],
        ["exec", "--timeout", "5000", "--", "sh", "-c", "echo out; exit 3"],
        ["exec", "--timeout", "100", "--", "sleep", "5"],
        ["cat", "100", str(tmp_path / "file")],
        ["tree", "2", str(tmp_path)],
        ["nonsense"],
    ):
        told = [
            subprocess.run([binary, *arguments], capture_output=True, check=False).stdout
            for binary in (made, shipped)
        ]
        assert told[0] == told[1], arguments


@pytest.mark.commands
@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv"
)
def test_what_could_not_be_ended_is_told() -> None:
    """Here for want of a capability; in a sandbox for want of time, and it is started anew."""
    without = ["setpriv", "--bounding-set=-kill", "--inh-caps=-kill"]
    command = ["setpriv", "--reuid=65534", "--clear-groups", "sleep", "12"]
    runner = str(runner_binary(platform.machine()))
    done = subprocess.run(
        [*without, runner, "exec", "--timeout", "300", "--max", "1000", "--", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    records = AnswerReader(1000)
    records.feed(done.stdout)
    answer = records.answer()
    assert answer.trailer is not None
    assert (answer.trailer.exit_code, answer.trailer.timed_out) == (124, True)
    assert answer.note == LEFT
