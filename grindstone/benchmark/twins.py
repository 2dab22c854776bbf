"""What tells the same task in other words: what decides it, and where it starts or what solves it.

Whoever words an instruction anew leaves the rest as it is. Tests alone are no sign: a collection
may have one script that grades each task by the task's own files. Files alone are none either:
many tasks may start from the same. Of tasks that share the tests and the files the same work
passes; of those that share the tests and the solution the same is asked on other data.

Where nothing but the tests and the solution ties two tasks together, these must speak of the task
itself: of a hundred questions that are answered by "yes", in an empty image or of a picture each,
every one is its own. They do where they and the instruction have enough words in common that are
not what tests and instructions of any task say.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import JsonValue

from grindstone.benchmark.schema import TaskFile
from grindstone.digest import digest, digest_tree

_NO_MATERIAL = frozenset({"Dockerfile", ".dockerignore"})

_OF_ITS_OWN = 6
"""Words in common that make tests and solution those of one task."""

_MOST_BYTES = 200_000
"""What is read of a file; expected values may be large."""

_OF_ANY_TASK = frozenset(
    re.findall(
        r"\w+",
        """
            about actual additional after already analysis answer answers appear assert been before
            between both character characters choice choices code confidence config configuration
            contain contains content correct correctly could count created data decimal decimals
            directory does each either empty error errors exact exactly except exist exists expected
            explanation explanations fail fails false field fields file files final first fixed
            float followed following follows format found from given have home incorrect input
            inputs installed integer into json keys least letter letters line lines list logs
            malformed match matches message missing multiple must name need newline none number
            numbers numeric object only option optionally options other otherwise output outputs
            pass passed passes path percent please point print problem punctuation question
            questions range read reason receives report required response result results return
            reward root rounded same score scored script selected should single solution solve
            solved some space spaces status stdout step string structure submission submit
            successfully task test tests text than that their then there these they this those three
            tolerance total trailing true type unit units uppercase user using valid validation
            value values verifier when where whether which whitespace will with without word work
            workspace write written your zero
        """,
    )
)
"""What tests and instructions of any task say, and what the form of an answer is told with."""


def twins_of(path: Path, config: TaskFile, environment: str, instruction: str) -> tuple[str, ...]:
    """Return the digests of which a task shares one with every twin of it.

    Args:
        path: The task's folder.
        config: Its task.toml. Variables count as they are written there, so that no value of a
            secret takes part; other ones make another task, since tests and solution may read them.
        environment: Digest of its environment folder.
        instruction: What the agent is told.
    """
    verifier = config.verifier
    separate = verifier.environment
    graded: list[JsonValue] = [
        digest_tree(path / "tests"),
        {**config.environment.env},
        {**verifier.env, **(separate.env if separate else {})},
        separate.docker_image if separate else None,
    ]
    marks: list[str] = []
    own = _speaks_of_it(path, instruction)
    if own or _has_material(path / "environment"):
        marks.append(digest(["files", *graded, environment, config.environment.docker_image]))
    if own and (path / "solution" / "solve.sh").is_file():
        solved: list[JsonValue] = [digest_tree(path / "solution"), {**config.solution.env}]
        marks.append(digest(["solution", *graded, *solved]))
    return tuple(marks)


def _has_material(folder: Path) -> bool:
    return folder.is_dir() and any(each.name not in _NO_MATERIAL for each in folder.iterdir())


def _speaks_of_it(path: Path, instruction: str) -> bool:
    """Return whether tests and solution name enough of what the instruction does."""
    words = {word for text in _texts(path) for word in _words(text)}
    return len((_words(instruction) & words) - _OF_ANY_TASK) >= _OF_ITS_OWN


def _texts(path: Path) -> Iterator[str]:
    for folder in ("tests", "solution"):
        for file in (path / folder).rglob("*"):
            if file.is_file() and not file.is_symlink():
                with file.open("rb") as opened:
                    yield opened.read(_MOST_BYTES).decode(errors="ignore")


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]{4,}|\d{3,}", text.casefold()))
