"""A task to attack, graded as a run grades it; images and engines are shared by a file's tests."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from textwrap import dedent

import pytest
from support.sandboxes import IMAGES, Start, cache, provider, sandbox, start

from grindstone.benchmark.environment import build_spec, start_spec
from grindstone.benchmark.loading import load_task
from grindstone.benchmark.recheck import grade_task
from grindstone.records import Verdict
from grindstone.sandbox.protocol import SandboxProvider
from grindstone.settings import ScoreMode

__all__ = ["IMAGES", "Attacked", "Start", "attacked", "cache", "provider", "sandbox", "start"]

Attacked = Callable[..., Awaitable[Verdict]]


@pytest.fixture
def attacked(provider: SandboxProvider, tmp_path: Path) -> Attacked:
    """Run an agent's commands in a task's sandbox and grade what they left."""

    async def run(
        commands: str,
        test_sh: str,
        *,
        toml: str = "",
        environment: str = "",
        separate: bool = False,
        trust_disputed: bool = False,
        **tests: str,
    ) -> Verdict:
        folder = tmp_path / "attacked"
        files = {
            "instruction.md": "Write 42 to /app/answer.\n",
            "task.toml": f"[environment]\nallow_internet = false\n{environment}\n{toml}\n",
            "environment/Dockerfile": "FROM debian:bookworm-slim\nWORKDIR /app\n",
            "tests/test.sh": dedent(test_sh),
            **{f"tests/{name}": dedent(text) for name, text in tests.items()},
        }
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        task = load_task(folder)
        image = await provider.build(build_spec(task))
        sandbox = await provider.start(start_spec(task, image))
        try:
            await sandbox.exec(dedent(commands), timeout_s=60)
            return await grade_task(
                task,
                sandbox,
                provider,
                score_mode=ScoreMode.DUAL,
                separate=separate,
                trust_disputed=trust_disputed,
            )
        finally:
            await sandbox.close()

    return run
