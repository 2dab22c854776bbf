"""What tells the same task in other words: what decides it, and where it starts or what solves it.

Whoever words an instruction anew leaves the rest as it is. Tests alone are no sign: a collection
may have one script that grades each task by the task's own files. Files alone are none either:
many tasks may start from the same. Of tasks that share the tests and the files the same work
passes; of those that share the tests and the solution the same is asked on other data. And where a
task's folder holds nothing to work on, the instruction is all of it: of a hundred questions that
are answered by "yes" in an empty image each is one of its own.
"""

from pathlib import Path

from pydantic import JsonValue

from grindstone.benchmark.schema import TaskFile
from grindstone.digest import digest, digest_tree

_NO_MATERIAL = frozenset({"Dockerfile", ".dockerignore"})


def twins_of(path: Path, config: TaskFile, environment: str) -> tuple[str, ...]:
    """Return the digests of which a task shares one with every twin of it.

    Args:
        path: The task's folder.
        config: Its task.toml. Variables count as they are written there, so that no value of a
            secret takes part; other ones make another task, since tests and solution may read them.
        environment: Digest of its environment folder.
    """
    folder = path / "environment"
    if not folder.is_dir() or all(each.name in _NO_MATERIAL for each in folder.iterdir()):
        return ()
    verifier = config.verifier
    separate = verifier.environment
    graded: list[JsonValue] = [
        digest_tree(path / "tests"),
        {**config.environment.env},
        {**verifier.env, **(separate.env if separate else {})},
        separate.docker_image if separate else None,
    ]
    marks = [digest(["files", *graded, environment, config.environment.docker_image])]
    if (path / "solution" / "solve.sh").is_file():
        solved: list[JsonValue] = [digest_tree(path / "solution"), {**config.solution.env}]
        marks.append(digest(["solution", *graded, *solved]))
    return tuple(marks)
