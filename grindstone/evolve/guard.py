"""What a skill must not give away, of the tasks it was learned on."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from grindstone.benchmark import load_task
from grindstone.benchmark.task import Task
from grindstone.errors import InputError
from grindstone.evolve.answers import AnswerKey, answer_key, values_said
from grindstone.evolve.config import EvolveConfig
from grindstone.evolve.permissions import Check, reasons_of
from grindstone.evolve.prompts import Observed
from grindstone.observe.observation import LabelledObservation
from grindstone.sandbox.protocol import SandboxProvider
from grindstone.skills.leaks import Known, Leak, Secrets
from grindstone.skills.literals import compared_values

MAX_TEST_FILE_BYTES = 500_000
_LINES_NAMED = 5
_LINE_CHARS = 80
_KEYS_AT_ONCE = 2


class Answers(NamedTuple):
    """Where right answers are found out, and kept."""

    provider: SandboxProvider
    kept_in: Path | None = None
    labels: Mapping[str, str] | None = None


class Guard:
    """A check that is made when there is a text to check.

    Making one takes seconds where the tasks' solutions have not been run before, and most
    answers to what a pass teaches are that it teaches nothing.

    Args:
        make: Makes the check, once.
    """

    def __init__(self, make: Callable[[], Awaitable[Check]]) -> None:
        self._make = make
        self._check: Check | None = None

    async def reasons(self, path: str, text: str) -> Sequence[str]:
        """Return what is wrong with a text; see `reasons_of`."""
        if self._check is None:
            self._check = await self._make()
        return reasons_of(self._check, path, text)


async def leak_guard(
    task_dirs: Iterable[Path], answers: Answers, *, said: Mapping[str, Sequence[str]] | None = None
) -> Check:
    """Return a check of (path, text) against the tests and the right answers of some tasks.

    Its sentences name the line of the text and what kind of thing stands there. They never
    say what it is compared with: they are read by the evolver.

    Args:
        task_dirs: The tasks' folders.
        answers: Where their solutions are run, once for each task as it is.
        said: By task id, values that verdicts on attempts at it showed.

    Raises:
        InfrastructureError: A solution could not be run.
    """
    tasks = [await asyncio.to_thread(load_task, folder) for folder in sorted(set(task_dirs))]
    places = asyncio.Semaphore(_KEYS_AT_ONCE)

    async def key_of(task: Task) -> AnswerKey:
        async with places:
            return await answer_key(
                task, answers.provider, kept_in=answers.kept_in, labels=answers.labels
            )

    keys = await asyncio.gather(*map(key_of, tasks))
    shown = said or {}
    known = [
        known_of(task, key, shown.get(task.task_id, ()))
        for task, key in zip(tasks, keys, strict=True)
    ]
    return await asyncio.to_thread(check_against, known)


async def guard_of(
    config: EvolveConfig, observations: Sequence[Observed], answers: Answers
) -> Check | None:
    """Return the guard of the tasks that were observed; None where no label is shown.

    The guard is made of the tests, so its refusals would tell an evolver about them that is
    to know of none. A task whose folder nobody told is guarded by its verdict alone.

    Raises:
        InputError: `no_direct_answers` was asked for by name, and a folder is not known.
        InfrastructureError: A solution could not be run.
    """
    labelled = [seen for seen in observations if isinstance(seen, LabelledObservation)]
    if not config.no_direct_answers or not labelled:
        return None
    folders = {seen.task_id: _folder_of(seen, config) for seen in labelled}
    lost = sorted(task_id for task_id, folder in folders.items() if folder is None)
    if lost and "no_direct_answers" in config.model_fields_set:
        raise InputError(
            "no_direct_answers",
            f"cannot be seen to for {', '.join(lost)}: the task's folder is not known",
            "observations made with task_dir, or EvolveConfig(tasks_dir=...)",
        )
    said = {
        seen.task_id: (*values_said(seen.grounds.verdict), *compared_values(seen.feedback.output))
        for seen in labelled
    }
    known = [
        Known(test_sources={}, expected=said[seen.task_id], instruction=seen.instruction)
        for seen in labelled
        if seen.task_id in lost
    ]
    found = [folder for folder in folders.values() if folder is not None]
    checks = (await leak_guard(found, answers, said=said), check_against(known))
    return lambda path, text: [reason for check in checks for reason in check(path, text)]


def _folder_of(seen: LabelledObservation, config: EvolveConfig) -> Path | None:
    if seen.grounds.task_dir is not None:
        return seen.grounds.task_dir
    folder = config.tasks_dir / seen.task_id if config.tasks_dir is not None else None
    return folder if folder is not None and folder.is_dir() else None


def known_of(task: Task, key: AnswerKey, said: Sequence[str] = ()) -> Known:
    """Return all that is known of a task's answers."""
    return Known(
        test_sources=_sources(task.tests_dir),
        expected=tuple(dict.fromkeys((*key.compared, *said))),
        answers=key.answers,
        instruction=f"{task.task_id}\n{task.title}\n{task.instruction}",
        inputs=key.inputs,
    )


def check_against(known: Iterable[Known]) -> Check:
    """Return the check of a text against what is known of some tasks."""
    secrets = [Secrets(each) for each in known]

    def check(path: str, text: str) -> Sequence[str]:
        # The path is read too, as a line before the first: a file's name can tell as well.
        found = [leak for each in secrets for leak in each.leaks(f"{path}\n{text}")]
        return _sentences(found, text.split("\n"))

    return check


def _sentences(leaks: Sequence[Leak], lines: Sequence[str]) -> list[str]:
    by_line = dict(sorted({leak.line - 1: leak.reason for leak in reversed(leaks)}.items()))
    found = [
        f"line {at} ({_shown(lines[at - 1])}) holds {reason}" if at else f"its path holds {reason}"
        for at, reason in list(by_line.items())[:_LINES_NAMED]
    ]
    more = len(by_line) - len(found)
    return [*found, f"{more} more lines do likewise"] if more else found


def _shown(line: str) -> str:
    text = line.strip()
    return repr(text if len(text) <= _LINE_CHARS else text[: _LINE_CHARS - 1] + "…")


def _sources(tests: Path) -> dict[str, str]:
    """Return the text files of a task's tests, by name.

    The solution's own text is left out: what it says is how such work is done, which is what
    a skill is to teach.
    """
    found = {}
    for path in sorted(tests.rglob("*")):
        if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_TEST_FILE_BYTES:
            continue
        data = path.read_bytes()
        if b"\0" not in data:
            found[str(path.relative_to(tests.parent))] = data.decode(errors="replace")
    return found
