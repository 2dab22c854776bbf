from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from textwrap import dedent

import pytest
from support.sandboxes import provider

from grindstone.benchmark.environment import build_spec, start_spec
from grindstone.benchmark.loading import load_task
from grindstone.benchmark.task import Task
from grindstone.sandbox.protocol import Sandbox, SandboxProvider

__all__ = ["provider"]

TEST_SH = """\
#!/bin/bash
if [ "$(cat /app/answer 2>/dev/null)" = 42 ]; then reward=1; else reward=0; fi
echo $reward > /logs/verifier/reward.txt
"""

WriteTask = Callable[..., Path]


@pytest.fixture
def write_task(tmp_path: Path) -> WriteTask:
    """Write a task folder; every part can be replaced, None leaves a part out."""

    def write(task_id: str = "answer", **parts: str | None) -> Path:
        folder = tmp_path / "tasks" / task_id
        files: dict[str, str | None] = {
            "instruction.md": "Write 42 to /app/answer.\n",
            "task.toml": '[metadata]\ncategory = "sums"\n[environment]\nallow_internet = false\n',
            "environment/Dockerfile": "FROM debian:bookworm-slim\nWORKDIR /app\n",
            "tests/test.sh": TEST_SH,
            "solution/solve.sh": "#!/bin/bash\necho 42 > /app/answer\n",
        }
        for name, text in (files | parts).items():
            if text is not None:
                file = folder / name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(dedent(text))
        return folder

    return write


StartTask = Callable[[Task | Path], "AsyncIterator[Sandbox]"]


@pytest.fixture
async def start(provider: SandboxProvider):
    """Build and start a task's sandbox; it is closed at the end of the test."""
    async with AsyncExitStack() as stack:

        async def start_task(folder: Path) -> tuple[Task, Sandbox]:
            task = load_task(folder)
            image = await provider.build(build_spec(task))
            sandbox = await provider.start(start_spec(task, image))
            stack.push_async_callback(sandbox.close)
            return task, sandbox

        yield start_task
