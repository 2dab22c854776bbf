import asyncio
import json
import os
import socket
import subprocess
import time
from typing import Any

import pytest

from grindstone.errors import InfrastructureError
from grindstone.sandbox import Sandbox
from grindstone.sandbox.protocol import HOSTNAME, Limits

REACH = """
import socket
for name in names:
    try:
        socket.create_connection(name, timeout=1)
        print("reached", name)
    except OSError:
        pass
print("tried all")
"""


async def test_a_command_runs_as_root_and_tells_its_exit_code(sandbox: Sandbox) -> None:
    result = await sandbox.exec("id -u; uname -n; echo oops >&2; exit 3", timeout_s=10)
    assert result.output == f"0\n{HOSTNAME}\noops\n"
    assert result.exit_code == 3
    assert not result.timed_out


async def test_variables_folder_and_input_reach_the_command(start: Any) -> None:
    sandbox = await start(env={"FROM_START": "a b", "LD_PRELOAD_X": "1"}, workdir="/data/here")
    result = await sandbox.exec(
        'echo "$FROM_START|$FROM_EXEC|$PWD"; cat',
        timeout_s=10,
        env={"FROM_EXEC": "c'd"},
        stdin=b"given\n",
    )
    assert result.output == "a b|c'd|/data/here\ngiven\n"
    assert sandbox.workdir == "/data/here"
    elsewhere = await sandbox.exec("pwd", timeout_s=10, cwd="/usr")
    assert elsewhere.output == "/usr\n"
    missing = await sandbox.exec("pwd", timeout_s=10, cwd="/no/such")
    assert missing.exit_code == 126
    assert "/no/such" in missing.output


async def test_large_input_passes_while_output_flows(sandbox: Sandbox) -> None:
    data = b"x" * 3_000_000
    result = await sandbox.exec("tee /tmp/copy | wc -c", timeout_s=20, stdin=data)
    assert result.output.strip() == "3000000"
    unread = await sandbox.exec("echo done", timeout_s=20, stdin=data)
    assert unread.output == "done\n"


async def test_commands_longer_than_an_argument_may_be(sandbox: Sandbox) -> None:
    text = "y" * 300_000
    result = await sandbox.exec(f"x={text}; echo ${{#x}}", timeout_s=10)
    assert result.output == "300000\n"


async def test_of_long_output_the_middle_is_left_out(sandbox: Sandbox) -> None:
    result = await sandbox.exec(
        "echo first; head -c 5000000 /dev/zero | tr '\\0' a; echo last",
        timeout_s=20,
        max_output_bytes=1000,
    )
    assert result.truncated
    assert result.output.startswith("first\n")
    assert result.output.endswith("last\n")
    assert "bytes left out" in result.output
    assert len(result.output) < 1200


async def test_a_timeout_ends_everything_the_command_started(sandbox: Sandbox) -> None:
    began = time.monotonic()
    result = await sandbox.exec(
        "echo part; sleep 1001 & setsid sleep 1002 & (setsid sh -c 'sleep 1003 & sleep 1004' &);"
        "env -i nohup setsid sleep 1005 & trap '' TERM; sleep 1006",
        timeout_s=1,
    )
    assert time.monotonic() - began < 6
    assert result.timed_out
    assert result.exit_code == 124
    assert "part\n" in result.output
    assert await _sleeping(sandbox) == []


async def test_a_service_outlives_its_command_and_later_timeouts(sandbox: Sandbox) -> None:
    began = time.monotonic()
    started = await sandbox.exec(
        "(while sleep 0.2; do echo tick; echo alive >/tmp/new; mv /tmp/new /tmp/alive; done) &"
        " echo up",
        timeout_s=30,
    )
    assert time.monotonic() - began < 5
    assert started.output == "up\n"
    ended = await sandbox.exec("sleep 1007", timeout_s=0.5)
    assert ended.timed_out
    await sandbox.exec("rm -f /tmp/alive; sleep 0.6", timeout_s=5)
    assert await sandbox.read_file("/tmp/alive") == b"alive\n"


async def test_the_word_timeout_means_nothing(sandbox: Sandbox) -> None:
    result = await sandbox.exec("echo 'pytest-timeout: Timeout >1s'; exit 124", timeout_s=10)
    assert result.exit_code == 124
    assert not result.timed_out


async def test_commands_at_once_do_not_end_each_other(sandbox: Sandbox) -> None:
    late, fine = await asyncio.gather(
        sandbox.exec("sleep 1008", timeout_s=0.7),
        sandbox.exec("sleep 1.5; echo fine", timeout_s=10),
    )
    assert late.timed_out
    assert fine.output == "fine\n"


@pytest.mark.slow
async def test_a_fork_bomb_is_ended_and_leaves_the_sandbox_usable(start: Any) -> None:
    sandbox = await start(limits=Limits(pids=60, memory_mb=512))
    bomb = "b() { b | b & }; b; sleep 1009"
    assert (await sandbox.exec(bomb, timeout_s=2)).exit_code != 0
    after = await sandbox.exec("echo usable", timeout_s=10)
    assert after.output == "usable\n"
    await sandbox.write_files({"/tmp/kept": b"kept"})
    await sandbox.exec("b() { b | b & }; b", timeout_s=2)
    again = await sandbox.exec("cat /tmp/kept", timeout_s=20)
    assert again.output.endswith("kept")


async def test_a_killed_runner_is_no_hang(sandbox: Sandbox) -> None:
    result = await sandbox.exec("kill -9 $PPID; sleep 1010", timeout_s=10)
    assert result.exit_code == 137
    assert (await sandbox.exec("echo on", timeout_s=10)).output == "on\n"


async def test_without_network_no_address_of_this_machine_is_reached(sandbox: Sandbox) -> None:
    if sandbox.kind != "kubernetes":  # a pod has its plugin's interface, which leads nowhere
        told = await sandbox.exec("cat /proc/net/dev | tail -n +3 | cut -d: -f1", timeout_s=10)
        assert told.output.split() == ["lo"]
    with socket.create_server(("0.0.0.0", 0)) as door:
        listed = subprocess.check_output(["ip", "-4", "-json", "address"], text=True)
        here = {each["local"] for link in json.loads(listed) for each in link["addr_info"]}
        assert "127.0.0.1" in here
        port = door.getsockname()[1]
        for address in here:
            socket.create_connection((address, port), timeout=5).close()
        names = [(address, port) for address in sorted(here)]
        command = f"python3 - <<'end'\nnames = {names}\n{REACH}\nend"
        result = await sandbox.exec(command, timeout_s=60)
        assert result.output == "tried all\n"


async def test_memory_is_limited(sandbox: Sandbox) -> None:
    if sandbox.kind == "bubblewrap" and os.geteuid() != 0:
        pytest.skip("bubblewrap without root has no control groups")
    hog = "python3 -c \"x = bytearray(900 * 2**20); print('had it')\""
    result = await sandbox.exec(hog, timeout_s=20)
    assert "had it" not in result.output
    assert (await sandbox.exec("echo on", timeout_s=10)).output == "on\n"


async def test_closing_twice_is_fine_and_afterwards_nothing_works(start: Any) -> None:
    sandbox = await start()
    await sandbox.close()
    await sandbox.close()
    with pytest.raises(InfrastructureError, match="container_lost"):
        await sandbox.exec("true", timeout_s=5)


async def _sleeping(sandbox: Sandbox) -> list[str]:
    listing = "for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$f; echo; done 2>/dev/null"
    result = await sandbox.exec(listing, timeout_s=10)
    return [line for line in result.output.splitlines() if line.startswith("sleep 10")]
