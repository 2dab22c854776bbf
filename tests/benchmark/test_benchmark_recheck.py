"""Attempts whose tests gave no verdict: whose doing it was decides."""

import pytest

from grindstone.benchmark.recheck import grade_task
from grindstone.errors import Cause, InfrastructureError
from grindstone.settings import ScoreMode

SLOW = """\
sleep 0.5
if [ "$(cat /app/answer 2>/dev/null)" = 42 ]; then reward=1; else reward=0; fi
echo $reward > /logs/verifier/reward.txt
"""

KILLER = """(while true; do for p in /proc/[0-9]*; do
        if tr '\\0' ' ' < $p/cmdline | grep -q tests/[t]est.sh; then kill -9 ${p#/proc/}; fi
    done; sleep 0.05; done) > /dev/null 2>&1 &"""
FIFO = "mkfifo /app/answer"
LIMITED = "[environment]\nallow_internet=false\nkeep_processes={}\n[verifier]\ntimeout_sec = 3\n"


@pytest.mark.catalogue
@pytest.mark.parametrize(
    ("breaker", "keeps", "basis"),
    [(KILLER, "false", "tests"), (KILLER, "true", "settled"), (FIFO, "false", "settled")],
    ids=["a process, ended before", "a process, kept", "what never answers"],
)
async def test_breaking_the_tests_is_a_failure(start, write_task, provider, breaker, keeps, basis):
    folder = write_task(**{"tests/test.sh": SLOW, "task.toml": LIMITED.format(keeps)})
    task, sandbox = await start(folder)
    ran = await sandbox.exec(breaker, timeout_s=20)
    assert ran.exit_code == 0, ran.output
    verdict = await grade_task(task, sandbox, provider, score_mode=ScoreMode.DUAL)
    assert (verdict.reward, verdict.passed, verdict.basis) == (0, False, basis)
    assert bool(verdict.evidence) == (basis == "settled")


@pytest.mark.catalogue
async def test_tests_that_work_nowhere_are_nobodys_failure(start, write_task, provider):
    task, sandbox = await start(write_task(**{"tests/test.sh": "echo what happened\n"}))
    with pytest.raises(InfrastructureError, match="what happened") as caught:
        await grade_task(task, sandbox, provider, score_mode=ScoreMode.DUAL)
    assert caught.value.cause is Cause.VERIFIER_BROKEN


@pytest.mark.catalogue
async def test_tests_that_broke_down_once_are_heard_again(start, write_task, provider):
    """There is no reward at the first try: the tests leave a mark beside the answer."""
    script = """\
        if [ -e /app/answer ] && [ ! -e /app/tried ]; then touch /app/tried; exit 1; fi
        echo 1 > /logs/verifier/reward.txt
        """
    task, sandbox = await start(write_task(**{"tests/test.sh": script}))
    await sandbox.exec("echo 42 > /app/answer", timeout_s=20)
    verdict = await grade_task(task, sandbox, provider, score_mode=ScoreMode.DUAL)
    assert verdict.passed
