"""Which tests `make test` runs of those there are many of, and on which engine flows run.

A catalogue (marker `catalogue`) is a family of tests that show one thing in many ways: attacks,
kills, combinations. `make drills` runs all of them, and so does pytest without a word more.
`make test` sets GRINDSTONE_DRILL_SHARE, and a part is drawn by the seed in GRINDSTONE_SEED: by the
hash of each test's name, so that any order and every process draws the same. Whatever the draw,
each test function and each engine of a file keeps one test, and so does each case of a function
whose marker says `each_case=True`; of the functions of several files whose marker names what they
are `of`, one is kept in all. Tests that are not drawn are deselected, not skipped.

A flow does not care which engine its sandboxes are on, and bubblewrap takes a tenth of what
Docker takes. With a share below 1 the files of that share use Docker where it is, the others
bubblewrap, as on a machine without Docker. Tests of the engines name theirs.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

import pytest

SHARE, SEED = "GRINDSTONE_DRILL_SHARE", "GRINDSTONE_SEED"
ENGINES = ("docker", "bubblewrap", "kubernetes")
ON_ANY_ENGINE = {
    *("adapt", "cli", "compare", "competency", "evolve", "flows", "gate"),
    *("graduation", "release"),
}
"""Folders whose tests do not say which engine they are for."""

GIVEN = os.environ.get("DOCKER_HOST")
"""Where the engine is, as whoever runs the tests has it."""
NO_DOCKER = "unix:///nonexistent/docker.sock"


class Draw(NamedTuple):
    """A share of all tests, and the seed it is drawn by."""

    share: float
    seed: str

    @classmethod
    def from_environment(cls) -> "Draw":
        """Read both; everything without the variables.

        Raises:
            pytest.UsageError: The share is no number from 0 to 1.
        """
        given = os.environ.get(SHARE) or "1"
        try:
            share = float(given)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            raise pytest.UsageError(f"{SHARE}: is {given!r}; expected a number from 0 to 1")
        return cls(share, os.environ.get(SEED) or "1")

    def lot(self, name: str) -> float:
        """Return a name's lot, from 0 to below 1: it is drawn when that is below the share."""
        digest = hashlib.sha256(f"{self.seed}:{name}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64

    def holds(self, name: str) -> bool:
        """Whether a name is drawn."""
        return self.lot(name) < self.share


def drawn(items: Iterable[pytest.Item], draw: Draw) -> list[pytest.Item]:
    """Return the tests to run, in their order."""
    items = list(items)
    if draw.share >= 1:
        return items
    kept: set[str] = set()
    families: dict[tuple[object, ...], list[str]] = {}
    for item in items:
        if _left_to_drills(item):
            continue
        marker = item.get_closest_marker("catalogue")
        if marker is None or draw.holds(item.nodeid):
            kept.add(item.nodeid)
        if marker is not None:
            for family in _families(item, **marker.kwargs):
                families.setdefault(family, []).append(item.nodeid)
    # Functions and cases come before engines: what they keep may be of an engine already.
    for family in sorted(families, key=lambda family: family[0] == "engine"):
        members = families[family]
        if kept.isdisjoint(members):
            kept.add(min(members, key=draw.lot))
    return [item for item in items if item.nodeid in kept]


def _left_to_drills(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("drill")
    return marker is not None and not marker.kwargs.get("short", False)


def _families(
    item: pytest.Item, *, each_case: bool = False, of: str = ""
) -> Iterator[tuple[object, ...]]:
    if of:
        yield "one of", of
        return
    file, _, _ = item.nodeid.partition("::")
    function = getattr(item, "originalname", item.name)
    yield "function", file, function
    for engine in _engines(item):
        yield "engine", file, engine
    callspec = getattr(item, "callspec", None)
    if each_case and callspec is not None:
        others = [part for part in callspec.id.split("-") if part not in ENGINES]
        yield "case", file, function, "-".join(others)


def _engines(item: pytest.Item) -> list[str]:
    return [engine for engine in ENGINES if item.get_closest_marker(engine)]


def uses_docker(item: pytest.Item, draw: Draw) -> bool:
    """Whether a test may find a Docker engine."""
    file = PurePosixPath(item.nodeid.partition("::")[0])
    anywhere = file.parent.name in ON_ANY_ENGINE
    return not anywhere or "docker" in _engines(item) or draw.holds(file.as_posix())


def choose_engine(item: pytest.Item, draw: Draw, *, bubblewrap: bool) -> None:
    """Let what the test starts see the engines that are its lot."""
    if bubblewrap and not uses_docker(item, draw):
        os.environ["DOCKER_HOST"] = NO_DOCKER
    elif GIVEN is not None:
        os.environ["DOCKER_HOST"] = GIVEN
    else:
        os.environ.pop("DOCKER_HOST", None)
