"""Starting a task's sandbox: it is the agent's once the task's own healthcheck has passed."""

import asyncio
import time
from collections.abc import Mapping

from grindstone.benchmark.environment import start_spec
from grindstone.benchmark.task import Healthcheck, Task
from grindstone.errors import Cause, InfrastructureError
from grindstone.sandbox.protocol import Sandbox, SandboxProvider
from grindstone.text import shorten

_TOLD_CHARS = 500


async def start_task(
    task: Task,
    provider: SandboxProvider,
    image: str,
    *,
    labels: Mapping[str, str] | None = None,
    listens: bool = False,
) -> Sandbox:
    """Start a sandbox for the agent and return it once it is healthy.

    Args:
        task: Whose.
        provider: Starts it.
        image: What the build returned.
        labels: For the sandbox.
        listens: Whether `Sandbox.listen` will be asked of it.

    Raises:
        InfrastructureError: SANDBOX_START, where the healthcheck did not pass; or the provider's.
    """
    wanted = start_spec(task, image, labels=labels).model_copy(update={"listens": listens})
    sandbox = await provider.start(wanted)
    if task.healthcheck is not None:
        try:
            await _wait_until_healthy(task.task_id, task.healthcheck, sandbox)
        except BaseException:
            provider.discard(sandbox)
            raise
    return sandbox


async def _wait_until_healthy(task_id: str, check: Healthcheck, sandbox: Sandbox) -> None:
    """Try until the command ends with 0; failures count once its start period is over."""
    counting_from = time.monotonic() + check.start_period_s
    failures = 0
    while True:
        counts = time.monotonic() >= counting_from
        ran = await sandbox.exec(check.command, timeout_s=check.timeout_s)
        if ran.exit_code == 0:
            return
        failures += counts
        if failures >= check.retries:
            ended = "ran out of time" if ran.timed_out else f"ended with {ran.exit_code}"
            raise InfrastructureError(
                Cause.SANDBOX_START,
                f"{task_id}/task.toml: environment.healthcheck: failed {failures} times; "
                f"{shorten(check.command, _TOLD_CHARS)} {ended}: "
                f"{shorten(ran.output.strip(), _TOLD_CHARS) or 'it printed nothing'}",
            )
        await asyncio.sleep(check.interval_s if counts else check.start_interval_s)
