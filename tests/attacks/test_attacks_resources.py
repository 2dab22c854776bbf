"""What an agent fills, nests, names or floods costs its own attempt, and no run after it."""

import asyncio
import resource
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sandboxes import IMAGES, Start

from grindstone.errors import Cause, InfrastructureError
from grindstone.sandbox import Limits, Sandbox, SandboxProvider, StartSpec
from grindstone.sandbox.wire import HEADER, AnswerReader

DEEP = """
import os
os.makedirs("/app/deep"); os.chdir("/app/deep")
for _ in range({depth}):
    os.mkdir("d"); os.chdir("d")
"""


async def _run(sandbox: Sandbox, code: str, timeout_s: float = 60) -> str:
    await sandbox.write_files({"/app/code.py": code.encode()})
    return (await sandbox.exec("python3 /app/code.py", timeout_s=timeout_s)).output


@pytest.mark.catalogue
@pytest.mark.slow
@pytest.mark.parametrize("depth", [1500, 2500])
async def test_deep_folders_end_with_their_sandbox(
    provider: SandboxProvider, start: Start, tmp_path: Path, depth: int
) -> None:
    sandbox = await start()
    assert await _run(sandbox, DEEP.format(depth=depth)) == ""
    with pytest.raises(InfrastructureError) as caught:
        await sandbox.copy_out("/app", tmp_path / "out")
    assert caught.value.cause is Cause.SANDBOX_IO
    assert "deeper" in caught.value.detail
    await sandbox.close()
    if provider.kind == "bubblewrap":
        assert not sandbox.box.folder.exists()  # type: ignore[attr-defined]
    await provider.reap()
    again = await start()
    assert (await again.exec("echo fine", timeout_s=20)).output == "fine\n"
    await again.close()


@pytest.mark.catalogue
async def test_the_longest_names_are_carried(sandbox: Sandbox, tmp_path: Path) -> None:
    name = "n" * 255
    await sandbox.exec(f"mkdir -p /app/out && echo here >/app/out/{name}", timeout_s=10)
    await sandbox.copy_out("/app/out", tmp_path / "out")
    assert (tmp_path / "out" / name).read_text() == "here\n"


@pytest.mark.catalogue
async def test_what_the_host_cannot_hold_is_the_sandboxes_fault(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """A path inside may be as long as a path can be, and the host's folder comes before it."""
    deep = "/".join(["n" * 250] * 16)
    await _run(
        sandbox,
        "import os\nos.makedirs('/app/out'); os.chdir('/app/out')\n"
        f"for name in {deep!r}.split('/'): os.mkdir(name); os.chdir(name)\n"
        "open('file', 'w').write('x')",
    )
    with pytest.raises(InfrastructureError) as caught:
        await sandbox.copy_out("/app/out", tmp_path / ("t" * 200))
    assert caught.value.cause is Cause.SANDBOX_IO


@pytest.mark.catalogue
@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_hundred_and_twenty_thousand_entries_cost_one_attempt(
    provider: SandboxProvider, start: Start, tmp_path: Path
) -> None:
    sandbox = await start()
    many = (  # links: entries are what is counted, and a disk makes them sooner than folders
        "import os\nos.makedirs('/app/many')\nfor n in range(120000):\n"
        " if n % 40000: os.link(f'/app/many/{n - n % 40000}', f'/app/many/{n}')\n"
        " else: open(f'/app/many/{n}', 'w').close()"
    )
    assert await _run(sandbox, many, timeout_s=100) == ""
    with pytest.raises(InfrastructureError, match="more than was allowed"):
        await sandbox.copy_out("/app/many", tmp_path / "out")
    await sandbox.close()
    await provider.reap()


@pytest.mark.catalogue
async def test_three_gigabytes_of_output_stay_out_of_memory(sandbox: Sandbox) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = await sandbox.exec(
        "head -c 3000000000 /dev/zero", timeout_s=100, max_output_bytes=100_000
    )
    assert told.truncated
    assert len(told.output) < 110_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


@pytest.mark.catalogue
async def test_one_file_has_the_disks_limit(start: Start) -> None:
    sandbox = await start(limits=Limits(memory_mb=512, storage_mb=50))
    told = await sandbox.exec(
        "mkdir -p /app; head -c 80000000 /dev/zero >/app/one; stat -c %s /app/one", timeout_s=60
    )
    await sandbox.close()
    assert told.output.split()[-1] == str(50 << 20)


@pytest.mark.catalogue
async def test_files_without_a_name_have_the_disks_limit(start: Start) -> None:
    """Opened and removed: no folder shows them, and the disk holds them until they are closed."""
    sandbox = await start(limits=Limits(memory_mb=512, storage_mb=50))
    told = await sandbox.exec(
        'python3 -u -c "import os, time\nheld = []\nfor n in range(60):\n'
        " held.append(open('/var/x', 'wb', 0)); os.unlink('/var/x')\n"
        ' held[-1].write(bytes(10 << 20)); print(n); time.sleep(0.5)"',
        timeout_s=60,
    )
    await sandbox.close()
    assert "more than 50 MB of disk" in told.output
    assert told.exit_code != 0


@pytest.mark.catalogue
@pytest.mark.slow
async def test_many_files_have_the_disks_limit(start: Start) -> None:
    sandbox = await start(limits=Limits(memory_mb=512, storage_mb=50))
    writing = (
        "mkdir -p /app; for i in $(seq 30); do head -c 9000000 /dev/zero >/app/$i; sleep 0.3; done"
    )
    told = await sandbox.exec(f"{writing}; sleep 30; echo unharmed", timeout_s=100)
    assert "unharmed" not in told.output
    assert "more than 50 MB of disk: its processes were ended" in told.output
    await sandbox.exec("rm -f /app/*", timeout_s=20)
    assert (await sandbox.exec("sleep 5; echo on", timeout_s=20)).output == "on\n"
    await sandbox.close()


@pytest.mark.catalogue
@pytest.mark.slow
async def test_files_without_content_have_a_limit(start: Start) -> None:
    sandbox = await start(limits=Limits(memory_mb=512, inodes=3000))
    if sandbox.kind == "docker" and resource.getrusage(0) and not Path("/var/lib/docker").is_dir():
        pytest.skip("the engine's files are not here to be counted")
    many = "mkdir -p /app; cd /app; for i in $(seq 5000); do : >$i; done; sleep 30; echo unharmed"
    told = await sandbox.exec(many, timeout_s=100)
    await sandbox.close()
    assert "more than 3000 files and folders" in told.output


@pytest.mark.catalogue
async def test_memory_that_ran_out_is_told_as_such(start: Start) -> None:
    sandbox = await start(limits=Limits(memory_mb=64, memory_headroom=1.5))
    fine = await sandbox.exec("head -c 70000000 /dev/zero | tail | wc -c", timeout_s=60)
    told = await sandbox.exec("exec python3 -c 'x = b\"x\" * 300_000_000'", timeout_s=60)
    kills = await sandbox.memory_kills()
    await sandbox.close()
    assert fine.output == "70000000\n"  # more than it was promised, less than the limit
    assert "out of memory: a process was ended at 96 MB" in told.output
    assert kills >= 1


@pytest.mark.catalogue
async def test_a_sandbox_without_numbers_has_limits(provider: SandboxProvider) -> None:
    limits = StartSpec(image=IMAGES[provider.kind], name="x").limits
    assert (limits.memory_limit_mb, limits.disk_bytes >> 30, limits.inodes) == (6144, 10, 500_000)
    sandbox = await provider.start(StartSpec(image=IMAGES[provider.kind], name="x"))
    files = "/sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max"
    if provider.kind == "docker":
        told = await sandbox.exec(f"cat {files} 2>/dev/null", timeout_s=10)
        assert int(told.output) == 6144 << 20
    await sandbox.close()


@given(st.binary(max_size=400))
def test_whatever_comes_is_an_answer_or_one_error(data: bytes) -> None:
    reader = AnswerReader(room=100)
    try:
        reader.feed(data)
        reader.answer()
    except InfrastructureError as error:
        assert error.cause is Cause.SANDBOX_IO


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (HEADER.pack(b"T", 0, 0, 1) + b"x", "another form"),
        (HEADER.pack(b"T", 0, 0, 9) + b"0 0 x yyy", "another form"),
        (HEADER.pack(b"T", 0, 0, 4) + b"\xff\xfe\x00 ", "another form"),
        (HEADER.pack(b"T", 0, 0, 1 << 40), "without end"),
        (HEADER.pack(b"F", 0, 1 << 30, 0), "without end"),
        (HEADER.pack(b"O", 0, 0, 1 << 40), "more than was asked for"),
        (HEADER.pack(b"O", 0, 0, 60) + b"x" * 60, ""),
        (2 * (HEADER.pack(b"O", 0, 0, 60) + b"x" * 60), "more than was asked for"),
        (HEADER.pack(b"Q", 0, 0, 0), "of type"),
        (
            b"".join(HEADER.pack(b"D", 0, 4, 0) + struct.pack(">I", n) for n in range(111_000)),
            "more files",
        ),
    ],
)
def test_a_malformed_record_is_one_error(record: bytes, problem: str) -> None:
    reader = AnswerReader(room=100)
    if not problem:
        reader.feed(record)
        return
    with pytest.raises(InfrastructureError, match=f"malformed.*{problem}"):
        reader.feed(record)


@pytest.mark.catalogue
async def test_a_sweep_after_a_kill_is_not_stopped_by_what_was_left(
    provider: SandboxProvider, start: Start
) -> None:
    """Odd modes, odd names and a FIFO, removed with the rest."""
    sandbox = await start()
    await sandbox.exec(
        "mkdir -p /app/a/b; mkfifo /app/a/pipe; touch $'/app/a/new\\nline' $'/app/a/\\xff'"
        " '/app/a/-rf'; chmod 000 /app/a/b /app/a; chown -R 33:33 /app",
        timeout_s=20,
    )
    await sandbox.close()
    if provider.kind == "bubblewrap":
        assert not sandbox.box.folder.exists()  # type: ignore[attr-defined]
    await asyncio.gather(provider.reap(), provider.reap())
