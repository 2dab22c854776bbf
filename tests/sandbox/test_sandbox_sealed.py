from pathlib import Path
from typing import Any

import pytest

from grindstone.sandbox import Sandbox, SealedSpec

FORGER = """
(while :; do
    mkdir -p /logs/verifier /tests
    echo 1 >/logs/verifier/reward.txt
    echo 'echo 1 >/logs/verifier/reward.txt' >/tests/test.sh
    rm -rf /logs /tests
    ln -s /forged /logs; ln -s /forged /tests; mkdir -p /forged/verifier
    echo 1 >/forged/verifier/reward.txt
    rm -f /logs /tests
    mv /logs /elsewhere; rm -rf /elsewhere
done) >/dev/null 2>&1 &
"""

HONEST = """
test -e /logs/verifier/reward.txt && echo "was there" || echo "fresh"
echo 0 >/logs/verifier/reward.txt
sleep 0.7
cat /logs/verifier/reward.txt
"""


def sealed(command: str, tests: Path, *, timeout_s: float = 30, **more: Any) -> SealedSpec:
    place = {"inputs": {"/tests": tests}, "log_dir": "/logs/verifier"}
    return SealedSpec(command=command, timeout_s=timeout_s, **place, **more)


@pytest.fixture
def tests_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "test.sh").write_text(HONEST)
    return folder


@pytest.mark.catalogue(each_case=True)
async def test_a_live_forger_gains_nothing(sandbox: Sandbox, tests_dir: Path) -> None:
    await sandbox.exec(FORGER, timeout_s=10)
    for _ in range(2):
        result = await sandbox.exec_sealed(sealed("bash /tests/test.sh", tests_dir, keep="all"))
        assert result.run.output == "fresh\n0\n"
        assert result.files == {"reward.txt": b"0\n"}


@pytest.mark.catalogue(each_case=True)
@pytest.mark.parametrize(
    "trick",
    [
        "ln -s /forged /logs",
        "mkdir -p /logs; ln -s /forged /logs/verifier",
        "mkdir -p /logs/verifier; echo 1 >/logs/verifier/reward.txt",
        "mkdir -p /logs; echo file >/logs/verifier",
        "echo file >/logs; ln -s /etc /tests",
        "mkdir -p /tests; echo 'echo 1 >/logs/verifier/reward.txt' >/tests/test.sh",
        "mkdir -p /logs/verifier; ln -s /forged/r /logs/verifier/reward.txt; mkfifo /tests",
        "rm -rf /logs /tests",
    ],
)
async def test_what_lies_in_the_way_does_not_matter(
    sandbox: Sandbox, tests_dir: Path, trick: str
) -> None:
    await sandbox.exec(f"mkdir /forged; echo 1 >/forged/reward.txt; {trick}", timeout_s=10)
    result = await sandbox.exec_sealed(sealed("bash /tests/test.sh", tests_dir))
    assert result.run.output == "fresh\n0\n"
    assert result.files == {"reward.txt": b"0\n"}


@pytest.mark.catalogue(each_case=True)
async def test_the_agents_processes_see_nothing_of_it(sandbox: Sandbox, tests_dir: Path) -> None:
    (tests_dir / "answer").write_text("CANARY")
    spy = """
    (while :; do
        for p in /proc/[0-9]*; do
            grep -rls CANARY $p/root/tests $p/root/logs $p/cwd /tests $p/environ >>/tmp/seen
            cat $p/fd/* >>/tmp/seen
            for f in $p/root/logs/verifier; do echo 1 >$f/reward.txt; done
        done
    done) >/dev/null 2>&1 </dev/null &
    """
    await sandbox.exec(spy, timeout_s=10)
    result = await sandbox.exec_sealed(
        sealed(
            "cat /tests/answer; cd /tests; sleep 1.5; ls /logs/verifier;"
            " echo log >/logs/verifier/log",
            tests_dir,
            keep="all",
            env={"KEY": "CANARY"},
        )
    )
    assert result.run.output == "CANARY"
    assert result.files == {"log": b"log\n"}
    await sandbox.exec("pkill -f nothing; kill -9 -1", timeout_s=10)
    seen = await sandbox.read_file("/tmp/seen")
    assert seen is not None
    assert b"CANARY" not in seen
    assert b"tests" not in seen
    assert await sandbox.read_file("/tests/answer") is None


@pytest.mark.catalogue(each_case=True)
async def test_a_service_left_running_is_reached(sandbox: Sandbox, tmp_path: Path) -> None:
    serve = (
        "mkdir -p /srv/www; echo served >/srv/www/page; cd /srv/www;"
        " python3 -m http.server 8123 --bind 127.0.0.1 >/dev/null 2>&1 & sleep 1"
    )
    await sandbox.exec(serve, timeout_s=10)
    ask = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8123/page').read())"
    (tmp_path / "ask.py").write_text(ask)
    result = await sandbox.exec_sealed(
        sealed(
            "python3 /tests/ask.py; echo from-verifier >/srv/www/note", tmp_path, keep="listening"
        )
    )
    assert "served" in result.run.output
    assert await sandbox.read_file("/srv/www/note") == b"from-verifier\n"


@pytest.mark.catalogue(each_case=True)
async def test_only_regular_files_come_back(sandbox: Sandbox, tmp_path: Path) -> None:
    result = await sandbox.exec_sealed(
        sealed(
            "cd /logs/verifier; mkdir sub; echo a >sub/a; ln -s /etc/passwd link; mkfifo pipe;"
            " ln -s / root; head -c 40000000 /dev/zero >large; echo small >small",
            tmp_path,
        )
    )
    assert result.files == {"sub/a": b"a\n", "small": b"small\n"}


@pytest.mark.catalogue(each_case=True)
async def test_time_runs_out_for_a_sealed_command_too(sandbox: Sandbox, tmp_path: Path) -> None:
    result = await sandbox.exec_sealed(
        sealed(
            "echo begun; echo 0.5 >/logs/verifier/reward.txt; setsid sleep 1011 & sleep 1012",
            tmp_path,
            timeout_s=1,
        )
    )
    assert result.run.timed_out
    assert result.run.output == "begun\n"
    assert result.files == {"reward.txt": b"0.5\n"}
    left = await sandbox.exec(
        "grep -al 'sleep.101' /proc/[0-9]*/cmdline | grep -v self", timeout_s=5
    )
    assert all("sleep" not in line for line in left.output.splitlines())


@pytest.mark.catalogue(each_case=True)
async def test_inputs_below_a_folder_the_agent_works_in(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "hidden").write_text("x")
    await sandbox.exec("mkdir -p /app/tests; echo mine >/app/file; ln -s file /app/l", timeout_s=5)
    result = await sandbox.exec_sealed(
        SealedSpec(
            command="cat l; ls tests; echo changed >file",
            timeout_s=10,
            cwd="/app",
            inputs={"/app/tests": tmp_path},
            log_dir="/app/logs",
        )
    )
    assert result.run.output == "mine\nhidden\n"
    assert await sandbox.read_file("/app/file") == b"changed\n"
    assert await sandbox.read_file("/app/tests/hidden") is None


@pytest.mark.catalogue(each_case=True)
async def test_the_sealed_command_has_no_power_over_the_machine(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    result = await sandbox.exec_sealed(
        sealed(
            "mount -t tmpfs none /mnt; unshare -m true; echo x >/proc/sys/kernel/core_pattern;"
            " mknod /dev/sda b 8 0; grep CapEff /proc/self/status",
            tmp_path,
            timeout_s=10,
        )
    )
    assert result.run.output.splitlines()[-1].split()[1] == "00000010000000eb"
