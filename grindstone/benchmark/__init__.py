"""Benchmarks: task folders, which of them an agent is shown, and what its attempts are worth."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grindstone.benchmark.loading import Dataset, TaskError, load_task, load_tasks
    from grindstone.benchmark.scoring import score_of
    from grindstone.benchmark.task import Task
    from grindstone.benchmark.verifier import grade

_HOMES = {
    "Dataset": "loading",
    "Task": "task",
    "TaskError": "loading",
    "grade": "verifier",
    "load_task": "loading",
    "load_tasks": "loading",
    "score_of": "scoring",
}

__all__ = ["Dataset", "Task", "TaskError", "grade", "load_task", "load_tasks", "score_of"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
