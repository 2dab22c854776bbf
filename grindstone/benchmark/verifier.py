"""Grading: the task's tests are run where the agent cannot reach them.

The tests are laid in a mount namespace of their own after the agent's turn ended, and the
reward is taken from that namespace alone. What a shared sandbox cannot prevent, an agent
that replaced an interpreter or a library the tests run on, the separate verifier does: it
grades the agent's files in a fresh sandbox.

A failed test, a Python exception in a test or a test script that exits with 1 is a score.
Only a missing or unusable reward, or the sandbox's own word that time ran out, is not.
"""

import shlex
from pathlib import Path

from grindstone.benchmark.doubts import doubts
from grindstone.benchmark.reports import Report, read_report
from grindstone.benchmark.rewards import RewardError, RewardMissingError, read_reward
from grindstone.benchmark.scoring import is_pass
from grindstone.benchmark.task import Task
from grindstone.errors import Cause, InfrastructureError
from grindstone.records import Verdict
from grindstone.sandbox.protocol import Sandbox, SealedResult, SealedSpec
from grindstone.settings import ScoreMode
from grindstone.text import shorten

TESTS = "/tests"
LOGS = "/logs/verifier"
OUTPUT_LIMIT = 100_000
"""Characters of the verifier's output kept: the first fifth and the last four."""

_TAIL = 1_500
_ACCOUNTS = (
    # As the system's library reads it: an indented line counts, and a last one without an end.
    'if [ -f /etc/passwd ]; then while IFS=: read -r name _ uid _ || [ -n "$name" ]; do '
    'case ${name#"${name%%[![:space:]]*}"} in '
    "nobody|daemon|bin|sys|games|mail|www-data) "
    'if [ "$uid" -eq 0 ] 2>/dev/null; then echo "the account $name is root\'s" >&2; exit 1; fi;; '
    "esac; done < /etc/passwd; fi; "
)
_PYTEST_CONFIGS = ("pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")


async def grade(task: Task, sandbox: Sandbox, *, score_mode: ScoreMode) -> Verdict:
    """Run the task's tests in the agent's sandbox and return the verdict.

    Raises:
        InfrastructureError: VERIFIER_TIMEOUT when the tests ran out of time,
            VERIFIER_BROKEN when they left no usable reward, or the sandbox's own.
    """
    return await run_tests(
        task, sandbox, tests_dir=task.tests_dir, cwd=sandbox.workdir, score_mode=score_mode
    )


async def run_tests(
    task: Task, sandbox: Sandbox, *, tests_dir: Path | None, cwd: str, score_mode: ScoreMode
) -> Verdict:
    """Run /tests/test.sh sealed and read what it left.

    Args:
        task: Whose tests; gives environment and time limit.
        sandbox: Where.
        tests_dir: Laid at /tests; None when the sandbox's image has its own.
        cwd: Folder the tests start in.
        score_mode: Decides what counts as a pass.

    Raises:
        InfrastructureError: As `grade`.
    """
    sealed = await sandbox.exec_sealed(
        SealedSpec(
            command=_command(task),
            timeout_s=task.verifier_timeout_s,
            inputs={TESTS: tests_dir} if tests_dir is not None else {},
            log_dir=LOGS,
            cwd=cwd,
            keep=task.keep,
            network=task.verifier_network,
            env={"TEST_DIR": TESTS, **task.verifier_env},
        )
    )
    return read_verdict(sealed, timeout_s=task.verifier_timeout_s, score_mode=score_mode)


def read_verdict(sealed: SealedResult, *, timeout_s: float, score_mode: ScoreMode) -> Verdict:
    """Return the verdict of a finished verifier run.

    Without a reward file, tests that the verifier's report files list as failed give 0:
    that is a `set -e` script which ended at the failing test.

    Raises:
        InfrastructureError: VERIFIER_TIMEOUT or VERIFIER_BROKEN.
    """
    run = sealed.run
    if run.timed_out:
        raise InfrastructureError(
            Cause.VERIFIER_TIMEOUT,
            f"after {timeout_s:g} s, its verifier.timeout_sec; {_tail(run.output)}",
        )
    report = read_report(sealed.files, run.output)
    reward = _reward(sealed, report)
    return Verdict(
        reward=reward,
        passed=is_pass(reward, report.tests if report.from_files else (), score_mode),
        tests=report.tests,
        output=cap(run.output),
        exit_code=run.exit_code,
        duration_s=max(run.duration_s, 0.0),
        evidence=doubts(sealed.files, reward, report, run.exit_code),
        leftovers=sealed.note,
    )


def cap(output: str, limit: int = OUTPUT_LIMIT) -> str:
    """Return the output with its middle left out when it is longer than `limit`."""
    return shorten(output, limit, head_share=0.2)


def _reward(sealed: SealedResult, report: Report) -> float:
    try:
        return read_reward(sealed.files)
    except RewardError as error:
        failed = any(test.status in ("failed", "error") for test in report.tests)
        if isinstance(error, RewardMissingError) and report.from_files and failed:
            return 0.0
        raise InfrastructureError(
            Cause.VERIFIER_BROKEN,
            f"{error} (exit code {sealed.run.exit_code}); {_tail(sealed.run.output)}",
        ) from error


def _tail(output: str) -> str:
    text = output.strip()
    return f"its output ends:\n{text[-_TAIL:]}" if text else "it printed nothing"


def _command(task: Task) -> str:
    """Return the command line that is run sealed.

    Tests that run a program of the agent's as another user trust that user's account: where the
    agent has made one of the system's root's, there is no verdict beside it. An empty pytest.ini
    beside the tests, where the task has no configuration there, keeps pytest from looking for one
    further up, in `/`, which the agent can write to.
    """
    configs = " && ".join(f"[ ! -e {TESTS}/{name} ]" for name in _PYTEST_CONFIGS)
    return (
        f"{_ACCOUNTS}mkdir -p /logs/agent /logs/artifacts 2>/dev/null; "
        f"({configs} && : > {TESTS}/pytest.ini) 2>/dev/null; "
        f"exec {_interpreter(task)}{shlex.quote(TESTS + '/test.sh')}"
    )


def _interpreter(task: Task) -> str:
    """Return bash, or what the script's first line asks for."""
    with (task.tests_dir / "test.sh").open("rb") as script:
        first = script.readline(200)
    if not first.startswith(b"#!"):
        return "bash "
    words = first[2:].decode("utf-8", errors="replace").split()
    programs = [Path(word).name for word in words if not word.startswith("-")]
    named = [name for name in programs if name != "env"][:1]
    if not named or named[0] in ("bash", "sh"):
        return "bash "
    return shlex.join(words) + " "
