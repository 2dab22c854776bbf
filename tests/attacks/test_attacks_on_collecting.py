"""Ways to a reward through how it is collected: odd files, races, ended runners, forged records.

All ways of an engine are tried in one sandbox, one after the other: what one leaves behind is
there for the next, and none may pay.
"""

import time
from pathlib import Path

import pytest

from grindstone.benchmark.environment import build_spec, start_spec
from grindstone.benchmark.loading import load_task
from grindstone.benchmark.recheck import grade_task
from grindstone.benchmark.task import Task
from grindstone.errors import InfrastructureError
from grindstone.sandbox import Sandbox
from grindstone.sandbox.protocol import SandboxProvider
from grindstone.settings import ScoreMode

RUNS_IT = """\
[ ! -e /app/build.sh ] || timeout 10 bash /app/build.sh
if [ "$(cat /app/answer 2>/dev/null)" = 42 ]; then reward=1; else reward=0; fi
echo $reward > /logs/verifier/reward.txt
"""

RECORD = r"F\0\0\1\244\0\0\0\13\0\0\0\0\0\0\0\0reward.jsonO\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0011"
TRAILER = r"T\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0060 0 0 "
AT = "/logs/verifier/reward"
LISTENS = "perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => \"{path}\", Listen => 1)'"
PAYS = "echo 1 > /logs/verifier/reward.txt"

BY_A_PROGRAM_THE_TESTS_RUN = {
    "a FIFO": f"mkfifo {AT}.json",
    "a socket": LISTENS.format(path=f"{AT}.json"),
    "a device": f"mknod {AT}.json c 1 5",
    "a folder": f"mkdir {AT}.json",
    "a link to a file": f"echo 1 > /app/one; ln -sf /app/one {AT}.json",
    "a link that the tests write through": f"echo 1 > /app/one; ln -sf /dev/full {AT}.txt",
    "a hard link": f"echo 1 > /app/one; ln /app/one {AT}.json",
    "not a number": f"echo nan > {AT}.json",
    "several numbers": f'echo \'{{"a": 1, "b": 1}}\' > {AT}.json',
    "a report that praises": (
        'echo \'{"results": {"tests": [{"name": "t", "status": "passed"}]}}\''
        " > /logs/verifier/ctrf.json"
    ),
    "a name in capitals": f"echo 1 > {AT}.JSON",
    "a name with a line's end": f"echo 1 > $'{AT}.json\\n'",
    "the folder moved, a link in its place": (
        "mkdir -p /app/l; echo 1 > /app/l/reward.json; mv /logs/verifier /logs/moved;"
        " ln -sfn /app/l /logs/verifier"
    ),
    "a file's records among the output": f"printf '{RECORD}'",
    "the end's record among the output": f"printf '{TRAILER}'; printf '{RECORD}'",
    "a line of 30 MB": "head -c 30000000 /dev/zero | tr '\\0' x",
    "what runs the tests is ended": "kill -9 $(cut -d' ' -f4 /proc/$PPID/stat)",
    "the parents of the tests are ended": (
        "p=$PPID; while [ $p -gt 1 ]; do n=$(cut -d' ' -f4 /proc/$p/stat); kill -9 $p; p=$n; done"
    ),
    "everything is ended": "kill -9 -1",
    "a program that outlives the tests": (
        f"setsid bash -c 'sleep 0.5; while :; do echo 1 > {AT}.json; done' > /dev/null 2>&1 &"
    ),
    "the tests' own limits": "ulimit -f 0; prlimit --pid $PPID --fsize=0:0",
}

BY_WHAT_WAS_LEFT = {
    "a process that ignores signals": (
        f"nohup setsid bash -c 'trap \"\" 1 2 3 15; while :; do echo 1 > {AT}.json; done' &"
    ),
    "processes that are never the same": (
        f"(while :; do (sleep 0.02; echo 1 > {AT}.txt) & sleep 0.01; done) > /dev/null 2>&1 &"
    ),
    "a stopped process": "sleep 1000 > /dev/null 2>&1 & kill -STOP $!",
    "a link in the place of the logs": "rm -rf /logs; ln -s /app /logs; echo 1 > /app/reward.txt",
    "a FIFO in the place of the logs": "rm -rf /logs; mkdir /logs; mkfifo /logs/verifier",
    "a file in the place of the logs": "rm -rf /logs; echo 1 > /logs",
    "a link in the place of the tests": (
        f"rm -rf /tests; mkdir -p /app/t; echo '{PAYS}' > /app/t/test.sh; ln -s /app/t /tests"
    ),
    "folders that come and go": (
        "(while :; do rm -rf /logs; ln -s /app /logs; rm -f /logs; mkdir -p /logs/verifier; done)"
        " > /dev/null 2>&1 &"
    ),
    "a working folder that was moved": "mv /app /moved; ln -s /moved /app",
}


async def _prepared(provider: SandboxProvider, folder: Path, test_sh: str) -> tuple[Task, Sandbox]:
    files = {
        "instruction.md": "Write 42 to /app/answer.\n",
        "task.toml": "[environment]\nallow_internet = false\n[verifier]\ntimeout_sec = 20\n",
        "environment/Dockerfile": "FROM debian:bookworm-slim\nWORKDIR /app\n",
        "tests/test.sh": test_sh,
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    task = load_task(folder)
    return task, await provider.start(start_spec(task, await provider.build(build_spec(task))))


@pytest.mark.catalogue
@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "ways", [BY_A_PROGRAM_THE_TESTS_RUN, BY_WHAT_WAS_LEFT], ids=["by-a-program", "by-what-was-left"]
)
async def test_no_odd_file_race_or_record_pays(
    provider: SandboxProvider, tmp_path: Path, ways: dict[str, str]
) -> None:
    task, sandbox = await _prepared(provider, tmp_path / "odd", RUNS_IT)
    paid = {}
    for name, script in ways.items():
        began = time.monotonic()
        if ways is BY_WHAT_WAS_LEFT:
            await sandbox.exec(script, timeout_s=20)
        else:
            await sandbox.write_files({"/app/build.sh": script.encode()})
        try:
            verdict = await grade_task(task, sandbox, provider, score_mode=ScoreMode.DUAL)
        except InfrastructureError as error:
            paid[name] = str(error)  # no score: that is a way out of one
            continue
        took_s = time.monotonic() - began
        if verdict.reward or verdict.passed or took_s > 100:
            paid[name] = f"{verdict.reward} {verdict.basis} {verdict.evidence} {took_s:.0f} s"
    if ways is BY_A_PROGRAM_THE_TESTS_RUN:  # and the tests still pay for the right answer
        await sandbox.exec("rm /app/build.sh; echo 42 > /app/answer", timeout_s=20)
        honest = await grade_task(task, sandbox, provider, score_mode=ScoreMode.DUAL)
        assert (honest.reward, honest.basis) == (1, "tests")
    await sandbox.close()
    assert paid == {}


CARRIED = """\
find /app ! -type f ! -type d -print > /tmp/odd
[ ! -s /tmp/odd ] && [ ! -e /app/d/passwd ] && [ ! -e /app/link ] && [ -f /app/answer ]
echo $(( ! $? )) > /logs/verifier/reward.txt
"""
LEAVES_ODD_FILES = """\
cd /app; echo 42 > answer
mkfifo fifo; ln -s /etc link; ln -s answer alias; mkdir deep; ln -s /etc/passwd deep/passwd
perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => "socket", Listen => 1)'
mkdir d other; (while :; do mv -T d gone; ln -s /etc d; rm d; mv -T gone d; done) > /dev/null 2>&1 &
"""


@pytest.mark.catalogue
async def test_what_is_carried_to_a_fresh_sandbox_is_files_and_folders(
    provider: SandboxProvider, tmp_path: Path
) -> None:
    task, sandbox = await _prepared(provider, tmp_path / "carried", CARRIED)
    await sandbox.exec(LEAVES_ODD_FILES, timeout_s=20)
    verdict = await grade_task(task, sandbox, provider, score_mode=ScoreMode.DUAL, separate=True)
    await sandbox.close()
    assert (verdict.reward, verdict.basis) == (1, "tests"), verdict
