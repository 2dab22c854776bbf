"""The benchmark as the SkillForge document shows it: tasks with and without skills."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

from grindstone.base import Frozen
from grindstone.benchmark.dataset import Split, select, split
from grindstone.benchmark.loading import Dataset, load_tasks
from grindstone.benchmark.scoring import score_of
from grindstone.benchmark.task import Task
from grindstone.benchmark.variants import strip_skills
from grindstone.digest import digest_tree
from grindstone.errors import InputError
from grindstone.records import FailureClass, Verdict
from grindstone.settings import ScoreMode

SplitName = Literal["train", "holdout", "all"]


class TaskPair(NamedTuple):
    """The same task for the two arms of a comparison."""

    with_skills: Task
    without_skills: Task


class Evaluation(Frozen):
    """What an attempt was worth; holds no text of the verifier's."""

    task_id: str
    success: bool
    score: float
    reward: float
    tests_passed: int
    tests_total: int
    failure_class: FailureClass


class SkillBenchBenchmark:
    """Tasks from disk, split in two, and the score of a verdict.

    Args:
        tasks_with_skills_dir: Task folders whose images may hold skills of their own.
        tasks_without_skills_dir: The same tasks without; None: made from the first.
        use_skills: Which of the two `get_tasks` hands out. Without skills, skills found in
            a task's own image are taken out of it in either case.
        holdout_ratio: Share of the tasks held out, at least 0 and below 1.
        split_seed: Same seed, same split.
        score_mode: reward, binary or dual; see `grindstone.benchmark.scoring`.
        native_profile: The solver profile the tasks are meant for; handed on, not used here.
        category_filter: Categories to take; empty: all.
        difficulty_filter: Difficulties to take; empty: all.
        task_ids: Ids or shell patterns to take; empty: all.
        limit: At most so many tasks, before the split; 0: all.
        variants_dir: Where copies without skills are kept; by default
            `.grindstone-variants` beside the folder of tasks.

    Raises:
        InputError: From the methods, when a folder holds no usable task or a filter no match.
    """

    def __init__(
        self,
        tasks_with_skills_dir: Path | str | None = None,
        tasks_without_skills_dir: Path | str | None = None,
        use_skills: bool = False,
        holdout_ratio: float = 0.2,
        split_seed: int = 42,
        score_mode: ScoreMode | str = ScoreMode.DUAL,
        native_profile: str = "terminus2",
        *,
        category_filter: Sequence[str] | str = (),
        difficulty_filter: Sequence[str] | str = (),
        task_ids: Sequence[str] | str = (),
        limit: int = 0,
        variants_dir: Path | str | None = None,
    ) -> None:
        if use_skills and tasks_with_skills_dir is None:
            raise InputError(
                "tasks_with_skills_dir", "is not given", "a folder of tasks, as use_skills is on"
            )
        try:
            self.score_mode = ScoreMode(score_mode)
        except ValueError as error:
            raise InputError(
                "score_mode", f"is {score_mode!r}", "reward, binary or dual"
            ) from error
        self.tasks_with_skills_dir = _path(tasks_with_skills_dir)
        self.tasks_without_skills_dir = _path(tasks_without_skills_dir)
        self.use_skills = use_skills
        self.holdout_ratio = holdout_ratio
        self.split_seed = split_seed
        self.native_profile = native_profile
        self.category_filter = _words(category_filter)
        self.difficulty_filter = _words(difficulty_filter)
        self.task_ids = _words(task_ids)
        self.limit = limit
        self.variants_dir = _path(variants_dir) or (
            self._folder(with_skills=True).parent / ".grindstone-variants"
        )

    @cached_property
    def dataset(self) -> Dataset:
        """All tasks of the arm `use_skills` names, and what is broken; filters not applied."""
        if self.use_skills:
            return load_tasks(self._folder(with_skills=True))
        found = load_tasks(self._folder(with_skills=False))
        return found._replace(tasks=tuple(strip_skills(t, self.variants_dir) for t in found.tasks))

    @cached_property
    def split(self) -> Split:
        """The chosen tasks, split."""
        chosen = select(
            self.dataset.tasks,
            ids=self.task_ids,
            categories=self.category_filter,
            difficulties=self.difficulty_filter,
            limit=self.limit,
        )
        return split(chosen, holdout_ratio=self.holdout_ratio, seed=self.split_seed)

    def get_tasks(self, split: SplitName = "train", limit: int | None = None) -> tuple[Task, ...]:
        """Return the tasks of a split, by id; at most `limit`, unless it is None or 0."""
        match split:
            case "train":
                tasks = self.split.train
            case "holdout":
                tasks = self.split.holdout
            case "all":
                tasks = tuple(sorted(self.split.train + self.split.holdout, key=_by_id))
            case _:
                raise InputError("split", f"is {split!r}", "train, holdout or all")
        return tasks[:limit] if limit else tasks

    def get_pairs(self, split: SplitName = "all", limit: int | None = None) -> list[TaskPair]:
        """Return every task of a split for both arms of a comparison.

        Raises:
            InputError: A task is missing in one folder, or the two differ in what the agent
                is told or in how it is graded: they could not be compared.
        """
        chosen = self.get_tasks(split, limit)
        have, lack = (
            {task.task_id: task for task in load_tasks(self._folder(with_skills=arm)).tasks}
            for arm in (True, False)
        )
        pairs = []
        for task in chosen:
            for arm, name in ((have, "with"), (lack, "without")):
                if task.task_id not in arm:
                    raise InputError(
                        task.task_id, f"is not among the tasks {name} skills", "it in both folders"
                    )
            pair = TaskPair(have[task.task_id], strip_skills(lack[task.task_id], self.variants_dir))
            _require_same(pair)
            pairs.append(pair)
        return pairs

    def evaluate(self, task: Task, verdict: Verdict) -> Evaluation:
        """Return what a verdict, given under the same score mode, is worth."""
        return Evaluation(
            task_id=task.task_id,
            success=verdict.passed,
            score=score_of(verdict, self.score_mode),
            reward=verdict.reward,
            tests_passed=verdict.tests_passed,
            tests_total=len(verdict.tests),
            failure_class=FailureClass.NONE if verdict.passed else FailureClass.TEST_FAIL,
        )

    def _folder(self, *, with_skills: bool) -> Path:
        """Return the arm's folder, the other one where it has none."""
        have, lack = self.tasks_with_skills_dir, self.tasks_without_skills_dir
        folder = (have or lack) if with_skills else (lack or have)
        if folder is None:
            raise InputError("tasks_with_skills_dir", "is not given", "a folder of tasks")
        return folder


def _require_same(pair: TaskPair) -> None:
    one, other = pair
    differing = [
        name
        for name, same in (
            ("instruction.md", one.instruction == other.instruction),
            ("tests/", digest_tree(one.tests_dir) == digest_tree(other.tests_dir)),
            ("limits", one.limits == other.limits),
            ("network", one.network == other.network),
            ("agent timeout", one.agent_timeout_s == other.agent_timeout_s),
        )
        if not same
    ]
    if differing:
        raise InputError(
            one.task_id,
            f"differs with and without skills in {', '.join(differing)}",
            "two folders that differ in skills alone",
        )


def _by_id(task: Task) -> str:
    return task.task_id


def _path(value: Path | str | None) -> Path | None:
    return None if value is None else Path(value)


def _words(value: Sequence[str] | str) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return tuple(value)
