"""What lies in a task's folder: read as text, and named where it is missing or may not be there."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grindstone.errors import InputError

TEXT_LIMIT_BYTES = 2_000_000
"""No instruction.md or task.toml is longer; more is a mistake, and would go to a model."""

COMPOSE = "environment/docker-compose.yaml"
"""Harbor reads this name alone; other compose files are material the agent works on."""


class TaskError(InputError):
    """A task folder that cannot be used.

    Attributes:
        task_id: The folder's name.
        file: The file at fault, relative to the folder.
        field: The dotted key in task.toml; empty where the file as a whole is meant.
    """

    def __init__(self, task_id: str, file: str, field: str, problem: str, expected: str) -> None:
        where = f"{task_id}/{file}" + (f": {field}" if field else "")
        super().__init__(where, problem, expected)
        self.task_id = task_id
        self.file = file
        self.field = field

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive pickling."""
        given = (self.task_id, self.file, self.field, self.problem, self.expected)
        return type(self), given, {"also": self.also}


def is_task(path: Path) -> bool:
    """Whether a folder is one of a task: it holds a file that every task has, or steps."""
    files = ("instruction.md", "task.toml", "environment/Dockerfile", "tests/test.sh")
    return any((path / name).is_file() for name in files)


def read_text(task_id: str, path: Path, name: str) -> str:
    """Return a file of a task as text, without the mark of a byte order.

    Raises:
        TaskError: It is missing, longer than `TEXT_LIMIT_BYTES`, or not UTF-8.
    """
    file = path / name
    if not file.is_file():
        raise TaskError(task_id, name, "", "is missing", "the file")
    if file.stat().st_size > TEXT_LIMIT_BYTES:
        raise TaskError(task_id, name, "", "is too long", f"at most {TEXT_LIMIT_BYTES} bytes")
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise TaskError(
            task_id, name, "", f"is not UTF-8 at byte {error.start}", "UTF-8 text"
        ) from error


def missing_parts(task_id: str, path: Path, *, has_image: bool) -> Iterator[TaskError]:
    """Yield what a task needs beside its instruction and its task.toml, and lacks or may not have.

    Args:
        task_id: The task's.
        path: Its folder.
        has_image: It names a ready image, and so needs no Dockerfile.
    """
    containers, dockerfile = path / COMPOSE, path / "environment" / "Dockerfile"
    if containers.is_file():
        problem = "is for Docker Compose, which runs several containers"
        yield TaskError(task_id, COMPOSE, "", problem, "a task of one container, by a Dockerfile")
    elif not has_image and not dockerfile.is_file():
        expected = "a Dockerfile, or environment.docker_image in task.toml"
        yield TaskError(task_id, "environment/Dockerfile", "", "is missing", expected)
    elif not has_image:
        lines = dockerfile.read_text(encoding="utf-8-sig", errors="replace").splitlines()
        if not any(line.lstrip().upper().startswith("FROM ") for line in lines):
            problem = "has no FROM line"
            yield TaskError(task_id, "environment/Dockerfile", "", problem, "a base image")
    if not (path / "tests" / "test.sh").is_file():
        expected = "a script that writes the reward"
        yield TaskError(task_id, "tests/test.sh", "", "is missing", expected)
    if (path / "solution").exists() and not (path / "solution" / "solve.sh").is_file():
        expected = "a script, or no solution/ at all"
        yield TaskError(task_id, "solution/solve.sh", "", "is missing", expected)
    if (path / "trajectory.json").is_file():
        problem = "is a conversation that the agent is to go on from"
        yield TaskError(task_id, "trajectory.json", "", problem, "none: every attempt begins anew")


def several_steps(task_id: str, path: Path) -> TaskError | None:
    """Return the fault of a folder laid out in steps, whatever its task.toml says."""
    if not any((path / "steps").glob("*/instruction.md")):
        return None
    return TaskError(task_id, "steps", "", "asks for several steps", "a task of one step")


def check_links(task_id: str, path: Path) -> None:
    """Make sure that a task is the same folder wherever it is copied to.

    Raises:
        TaskError: A link leads out of it, a name is no text, or it holds a special file.
    """
    root = os.path.realpath(path)
    for entry in walk(str(path)):
        relative = os.path.relpath(entry.path, path)
        if not _is_text(entry.name):
            raise TaskError(task_id, repr(relative), "", "has a name that is no text", "UTF-8")
        if entry.is_symlink():
            target, said = os.path.realpath(entry.path), Path(entry.path).readlink()
            if target != root and not target.startswith(root + os.sep):
                raise TaskError(
                    task_id, relative, "", "is a link out of the task", "links that stay within"
                )
            if _leaves(Path(relative).parent / said):
                problem = f"is a link by way of what is outside of the task, {str(said)!r}"
                raise TaskError(task_id, relative, "", problem, "a link relative to where it lies")
        elif not (entry.is_file() or entry.is_dir()):
            raise TaskError(task_id, relative, "", "is a special file", "files and folders")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _leaves(way: Path) -> bool:
    """Return whether a way from a task's folder leads out of it, links left aside."""
    return way.is_absolute() or Path(os.path.normpath(way)).parts[:1] == (os.pardir,)


def walk(folder: str) -> Iterator[os.DirEntry[str]]:
    """Yield everything below a folder, by name, git's own files left out."""
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda found: found.name):
            if entry.name == ".git":
                continue
            yield entry
            if entry.is_dir(follow_symlinks=False):
                yield from walk(entry.path)
