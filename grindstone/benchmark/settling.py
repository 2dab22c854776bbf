"""When the tests gave no verdict: whose doing was it?

A verifier that leaves no reward, or runs out of time, may be broken, or may have met what the
agent left: a process that ends it, a program that never answers, a system without bash. The
first is nobody's failure and has no score; if the second had none either, breaking the tests
would be better than failing them. So the same tests are run where the agent never was. If
they work there, and fail to work beside what the agent left a second time, that is a reward
of nothing.
"""

from collections.abc import Mapping

from grindstone.benchmark.environment import build_spec, start_spec
from grindstone.benchmark.task import Task
from grindstone.benchmark.verifier import cap, grade
from grindstone.errors import Cause, InfrastructureError
from grindstone.records import Verdict
from grindstone.sandbox.protocol import Provider, Sandbox
from grindstone.settings import ScoreMode

NO_VERDICT = (Cause.VERIFIER_BROKEN, Cause.VERIFIER_TIMEOUT)
"""The causes that may be the agent's doing."""


async def grade_or_settle(
    task: Task,
    sandbox: Sandbox,
    provider: Provider,
    *,
    score_mode: ScoreMode,
    labels: Mapping[str, str] | None = None,
) -> Verdict:
    """Grade in the agent's sandbox; where that gives no verdict, find out why.

    Args:
        task: Whose tests.
        sandbox: The agent's.
        provider: Starts the fresh sandbox of the same image, which is closed at the end.
        score_mode: Decides what counts as a pass.
        labels: For the fresh sandbox.

    Raises:
        InfrastructureError: The tests give no verdict in a fresh sandbox either, or the
            sandbox's own.
    """
    try:
        return await grade(task, sandbox, score_mode=score_mode)
    except InfrastructureError as error:
        if error.cause not in NO_VERDICT:
            raise
        untouched = await provider.start(
            start_spec(task, await provider.build(build_spec(task)), labels=labels)
        )
    try:
        await grade(task, untouched, score_mode=score_mode)
    finally:
        await untouched.close()
    try:
        return await grade(task, sandbox, score_mode=score_mode)
    except InfrastructureError as error:
        if error.cause not in NO_VERDICT:
            raise
        return Verdict(
            reward=0.0,
            passed=False,
            tests=(),
            output=cap(
                "The tests give a verdict in a fresh sandbox, and twice gave none beside what "
                f"the agent left: {error}"
            ),
            exit_code=1,
            duration_s=0.0,
        )
