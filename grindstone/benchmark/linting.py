"""What can be said of a task without running it.

An error means that scores of the task would be wrong or that it cannot run; a warning, that
they may be; a note is worth knowing.
"""

from grindstone.benchmark import lint_image, lint_tests
from grindstone.benchmark.lint_source import LintFinding, Severity, TaskSource
from grindstone.benchmark.task import Task

__all__ = ["LintFinding", "Severity", "lint_task"]


def lint_task(task: Task) -> tuple[LintFinding, ...]:
    """Return everything found, errors first."""
    source = TaskSource(task)
    found = [finding for rule in (*lint_tests.RULES, *lint_image.RULES) for finding in rule(source)]
    order = {"error": 0, "warning": 1, "note": 2}
    return tuple(sorted(found, key=lambda finding: (order[finding.severity], finding.file)))
