"""Base images that could not be had: a collection's other tasks need not find out one by one."""

import re
from collections import Counter
from pathlib import Path
from threading import Lock

FAILURES = 2
"""Builds that fail of a base image before it is not asked for again."""

_FROM = re.compile(r"^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE | re.MULTILINE)
_LASTING = re.compile(
    r"not found|no such host|does not exist|access denied|unauthorized|denied:|manifest unknown|"
    r"no match for platform|invalid reference",
    re.IGNORECASE,
)
"""What a registry or a resolver says that says the same a minute later; all else may pass."""
_OF_A_STEP = re.compile(r"did not complete|returned a non-zero code")
"""A build that failed of a command had its base image, whatever the command's text says."""
_NAME = re.compile(r"[\w./:@-]+")


class LostBases:
    """What one run's builds know of base images that are not to be had."""

    def __init__(self) -> None:
        self._failed: Counter[tuple[str, str]] = Counter()
        self._lock = Lock()

    def why(self, context_dir: Path) -> str:
        """Return why a context need not be built; empty where it may succeed."""
        bases = _bases(context_dir)
        with self._lock:
            for (base, reason), times in self._failed.items():
                if times >= FAILURES and base in bases:
                    return f"{reason} (base image {base}, as in {times} builds before: not tried)"
        return ""

    def note(self, context_dir: Path, reason: str) -> None:
        """Take why a build failed, where it failed of its base image and will again."""
        if not _LASTING.search(reason) or _OF_A_STEP.search(reason):
            return
        named = {_whole(word) for word in _NAME.findall(reason)}
        with self._lock:
            for base in _bases(context_dir):
                if _whole(base) in named:
                    self._failed[base, reason] += 1


def _bases(context_dir: Path) -> list[str]:
    """Return the images a Dockerfile begins with; its own stages are none."""
    try:
        found = _FROM.findall((context_dir / "Dockerfile").read_text("utf-8", "replace"))
    except OSError:
        return []
    stages: set[str] = set()
    bases = []
    for base, stage in found:
        bases += [base] if base not in stages else []
        stages.add(stage)
    return bases


def _whole(name: str) -> str:
    """Return an image's name as it is compared: builders add what a Dockerfile may leave out."""
    image = name.strip(".:").partition("@")[0].removesuffix(":latest")
    return image.removeprefix("docker.io/").removeprefix("library/")
