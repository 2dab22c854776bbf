"""Neither process 1 nor a runner is the agent's to look into, to steer or to end."""

import os
import platform
from pathlib import Path

import pytest
from support.sandboxes import Start

from grindstone.sandbox import Sandbox

ESCAPE = Path(__file__).parent / "escape_by_process_1.py"

EVIL = """#!/bin/bash
grep -E 'CapEff|Seccomp:' /proc/self/status >>/app/evidence
cat /proc/self/uid_map >>/app/evidence
"""

SYSCALLS = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "process_madvise": (440, 440),
}
"""Numbers on x86-64 and on arm64."""

CALL = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
answer = libc.syscall(int(sys.argv[1]), *(int(word) for word in sys.argv[2:]))
print(answer, ctypes.get_errno())
"""


@pytest.mark.catalogue
@pytest.mark.skipif(platform.machine() != "x86_64", reason="speaks of x86-64's registers")
async def test_process_1_cannot_be_made_to_swap_the_runner(sandbox: Sandbox) -> None:
    await sandbox.write_files({"/app/evil/runner": EVIL.encode()}, mode=0o755)
    await sandbox.write_files({"/app/escape.py": ESCAPE.read_bytes()})
    told = await sandbox.exec("mkdir -p /app/evil/root; python3 /app/escape.py 1", timeout_s=20)
    try:
        after = await sandbox.exec("ls /app", timeout_s=20)
    finally:
        if sandbox.kind == "bubblewrap":
            upper = sandbox.box.folder / "upper"  # type: ignore[attr-defined]
            evidence = [path.read_text() for path in upper.rglob("evidence")]
            assert evidence == [], "a program of the agent's ran with the host's privileges"
    assert "Operation not permitted" in told.output
    assert after.output.split() == ["escape.py", "evil"]


@pytest.mark.catalogue
@pytest.mark.parametrize("who", ["1", "$PPID", "$(pgrep -o . || echo 1)"])
async def test_no_runner_can_be_traced(sandbox: Sandbox, who: str) -> None:
    await sandbox.write_files({"/app/escape.py": ESCAPE.read_bytes()})
    told = await sandbox.exec(f"python3 /app/escape.py {who}", timeout_s=20)
    assert "Operation not permitted" in told.output


@pytest.mark.catalogue
@pytest.mark.parametrize("name", SYSCALLS)
async def test_what_reaches_into_another_process_is_refused(sandbox: Sandbox, name: str) -> None:
    number = SYSCALLS[name][platform.machine() == "aarch64"]
    await sandbox.write_files({"/app/call.py": CALL.encode()})
    told = await sandbox.exec(f"python3 /app/call.py {number} 0 1 0 0 0 0", timeout_s=10)
    assert told.output.split() == ["-1", "1"], f"{name} was let through: {told.output}"


@pytest.mark.catalogue
@pytest.mark.parametrize(
    "place", ["root", "cwd", "exe", "fd/1", "ns/mnt", "environ", "maps", "mem"]
)
@pytest.mark.parametrize("who", ["1", "$PPID"])
async def test_a_runners_folder_in_proc_is_closed(sandbox: Sandbox, place: str, who: str) -> None:
    command = f"readlink /proc/{who}/{place} || cat /proc/{who}/{place}"
    told = await sandbox.exec(command, timeout_s=10)
    assert told.exit_code != 0
    assert "ermission denied" in told.output or "not permitted" in told.output


@pytest.mark.catalogue
async def test_a_record_cannot_be_forged_into_the_runners_stream(sandbox: Sandbox) -> None:
    trailer = r"T\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0017 0 0 x"
    told = await sandbox.exec(
        f"printf '{trailer}' >/proc/$PPID/fd/1; exec 9>/proc/$PPID/fd/1; echo mine", timeout_s=10
    )
    assert told.output.endswith("mine\n")
    assert told.output.count("ermission denied") == 2


@pytest.mark.catalogue
async def test_process_1_and_runners_are_filtered(sandbox: Sandbox) -> None:
    """Whatever reached one of them would still meet the filter."""
    told = await sandbox.exec(
        "grep -h -E '^(Seccomp|NoNewPrivs):' /proc/1/status /proc/$PPID/status", timeout_s=10
    )
    assert sorted(told.output.split()) == [
        "1",
        "1",
        "2",
        "2",
        *["NoNewPrivs:"] * 2,
        *["Seccomp:"] * 2,
    ]


@pytest.mark.catalogue
async def test_process_1_cannot_be_ended_by_a_limit_on_its_time(sandbox: Sandbox) -> None:
    """The kernel ends with SIGKILL what has used up its hard limit, process 1 as well."""
    busy = "for i in $(seq 3000); do (true & ) ; done"
    told = await sandbox.exec(f"prlimit --pid 1 --cpu=0:0; {busy}; echo here", timeout_s=60)
    assert "not permitted" in told.output
    assert (await sandbox.exec("echo alive", timeout_s=10)).output == "alive\n"


@pytest.mark.catalogue
async def test_process_1_takes_no_signal(sandbox: Sandbox) -> None:
    every = "for s in $(seq 1 64); do kill -$s 1; done"
    await sandbox.exec(every, timeout_s=10)
    assert (await sandbox.exec("echo alive", timeout_s=10)).output == "alive\n"


@pytest.mark.catalogue
async def test_an_ordinary_limit_of_ones_own_still_works(sandbox: Sandbox) -> None:
    told = await sandbox.exec("ulimit -n 64; ulimit -n; prlimit --core", timeout_s=10)
    assert told.output.startswith("64\n")
    assert told.exit_code == 0


@pytest.mark.catalogue
async def test_a_command_inherits_none_of_the_runners_descriptors(sandbox: Sandbox) -> None:
    told = await sandbox.exec("for f in /proc/self/fd/*; do echo ${f##*/}; done", timeout_s=10)
    assert set(told.output.split()) <= {"0", "1", "2", "3"}  # 3: the folder being listed


@pytest.mark.catalogue
@pytest.mark.skipif(os.geteuid() != 0, reason="only root is root outside")
async def test_nothing_of_the_hosts_is_entered_twice(start: Start) -> None:
    """Two sandboxes share no namespace but the user's."""
    one, other = await start(), await start()
    names = "for n in mnt pid ipc uts net; do readlink /proc/self/ns/$n; done"
    told = [(await box.exec(names, timeout_s=10)).output.split() for box in (one, other)]
    for box in (one, other):
        await box.close()
    mine = [
        str(Path(f"/proc/self/ns/{name}").readlink())
        for name in ("mnt", "pid", "ipc", "uts", "net")
    ]
    assert not set(told[0]) & set(told[1])
    assert not set(told[0]) & set(mine)
