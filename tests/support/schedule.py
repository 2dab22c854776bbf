"""In what order the tests run, and on which of several processes.

The tests of a file stay on one process: they share the servers and runs its fixtures make. A home
that is up (server and worker) takes two seconds of a processor a minute at rest, so the files that
use one are dealt out as two hands, before all others, and each goes down behind its last test.
"""

import zlib
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

DEPLOYED = "tests/deploy/"
HANDS = 2

OF_ONE_RUN = {
    *("tests/cli/test_cli_exit_codes.py", "tests/cli/test_cli_real_run.py"),
    "tests/cli/test_cli_release.py",
}
"""They read the same run, which a process makes once."""
READERS = "tests/cli/"

LONGEST = (
    READERS,
    "tests/competency/test_competency_flows.py",
    "tests/cli/test_cli_grind_docs.py",
    "tests/flows/test_flow_remote.py",
    "tests/compare/test_compare_modes.py",
    "tests/compare/test_compare_evolver.py",
)
"""What takes longest after those: a process that begins a long one late ends last."""


def hand(nodeid: str) -> str:
    """Return what a test stays together with: its file, or those that share what it needs."""
    file = nodeid.partition("::")[0]
    if file in OF_ONE_RUN:
        return READERS
    if not file.startswith(DEPLOYED):
        return file
    return f"{DEPLOYED}{zlib.crc32(file.encode()) % HANDS}"


def in_order(items: list[Any]) -> list[Any]:
    """Return the tests in the order they are begun in."""
    place = {file: number for number, file in enumerate(LONGEST)}

    def key(item: pytest.Item) -> tuple[bool, str, int]:
        together = hand(item.nodeid)
        deployed = together.startswith(DEPLOYED)
        return not deployed, together if deployed else "", place.get(together, len(place))

    return sorted(items, key=key)


class ByHand(LoadFileScheduling):
    """What `--dist loadfile` does, with two hands for the files that need a home that is up."""

    def _split_scope(self, nodeid: str) -> str:
        return hand(nodeid)
