"""Benchmarks: task folders, which of them an agent is shown, and what its attempts are worth."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grindstone.benchmark.checking import CheckReport, check_task
    from grindstone.benchmark.dataset import Split, select, split
    from grindstone.benchmark.environment import build_spec, start_spec
    from grindstone.benchmark.linting import Finding, lint_task
    from grindstone.benchmark.loading import Dataset, TaskError, load_task, load_tasks
    from grindstone.benchmark.scoring import score_of
    from grindstone.benchmark.separate import grade_separately, grade_task
    from grindstone.benchmark.skillbench import SkillBenchBenchmark
    from grindstone.benchmark.task import Task
    from grindstone.benchmark.variants import find_baked_skills, strip_skills
    from grindstone.benchmark.verifier import grade

__all__ = [
    "CheckReport",
    "Dataset",
    "Finding",
    "SkillBenchBenchmark",
    "Split",
    "Task",
    "TaskError",
    "build_spec",
    "check_task",
    "find_baked_skills",
    "grade",
    "grade_separately",
    "grade_task",
    "lint_task",
    "load_task",
    "load_tasks",
    "score_of",
    "select",
    "split",
    "start_spec",
    "strip_skills",
]

_HOMES = {
    "checking": ("CheckReport", "check_task"),
    "dataset": ("Split", "select", "split"),
    "environment": ("build_spec", "start_spec"),
    "linting": ("Finding", "lint_task"),
    "loading": ("Dataset", "TaskError", "load_task", "load_tasks"),
    "scoring": ("score_of",),
    "separate": ("grade_separately", "grade_task"),
    "skillbench": ("SkillBenchBenchmark",),
    "task": ("Task",),
    "variants": ("find_baked_skills", "strip_skills"),
    "verifier": ("grade",),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for."""
    for home, names in _HOMES.items():
        if name in names:
            from importlib import import_module  # noqa: PLC0415

            return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
