"""What lint rules see of a task, and what they say."""

from collections.abc import Callable, Iterator
from typing import Literal

from grindstone.base import Frozen
from grindstone.benchmark.task import Task
from grindstone.dockerfile import Instruction, instructions

Severity = Literal["error", "warning", "note"]

DOCKERFILE = "environment/Dockerfile"
TEST_SH = "tests/test.sh"


class LintFinding(Frozen):
    """One thing found."""

    severity: Severity
    rule: str
    file: str
    message: str
    remedy: str


class TaskSource:
    """The task's texts, read once."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.test_sh = (task.tests_dir / "test.sh").read_text(errors="replace")
        self.tests = {
            file.relative_to(task.path).as_posix(): file.read_text(errors="replace")
            for file in sorted(task.tests_dir.rglob("*"))
            if file.is_file() and file.stat().st_size < 1_000_000
        }
        dockerfile = task.environment_dir / "Dockerfile"
        self.dockerfile_text = (
            dockerfile.read_text(errors="replace") if dockerfile.is_file() else ""
        )
        self.dockerfile: tuple[Instruction, ...] = instructions(self.dockerfile_text)


Rule = Callable[[TaskSource], Iterator[LintFinding]]
