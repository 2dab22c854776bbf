"""What a skill must not give away: a guard built from the tests of the tasks it was learned on."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from grindstone.benchmark import load_task
from grindstone.skills.leaks import find_leaks

MAX_TEST_FILE_BYTES = 500_000


def leak_check(task_dirs: Mapping[str, Path]) -> Callable[[str, str], Sequence[str]]:
    """Return a check of (path, text) against the tests of some tasks.

    Its sentences say what kind of thing was found and never the thing itself: they are
    read by the evolver.
    """
    guarded = [(load_task(folder).instruction, _sources(folder)) for folder in task_dirs.values()]

    def check(path: str, text: str) -> Sequence[str]:
        reasons = {
            f"holds {leak.reason}"
            for instruction, sources in guarded
            for leak in find_leaks(text, test_sources=sources, instruction=instruction)
        }
        return sorted(reasons)

    return check


def _sources(folder: Path) -> dict[str, str]:
    """Return the text files of a task's tests, by name.

    The solution is left out: what it says is how such work is done, which is what a skill
    is to teach.
    """
    found = {}
    for path in sorted((folder / "tests").rglob("*")):
        if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_TEST_FILE_BYTES:
            continue
        data = path.read_bytes()
        if b"\0" not in data:
            found[str(path.relative_to(folder))] = data.decode(errors="replace")
    return found
