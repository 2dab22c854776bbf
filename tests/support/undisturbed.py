"""A run that nobody killed, to hold the killed ones against."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from support.cli_runs import Command
from support.kills import paid
from support.wire_faults import WireFaults


class Undisturbed(NamedTuple):
    """What a run that nobody killed left."""

    home: Path
    paid: int


def undisturbed_run(home: Path, url: str, start: Callable[[Path, str], Command]) -> Undisturbed:
    """Return the run in a home, made at the first call.

    Args:
        home: Where it is kept.
        url: The model's service.
        start: Starts it in a home, with a service's address.
    """
    count = home / "paid"
    if not count.exists():
        with WireFaults(url) as proxy:
            command = start(home, proxy.url)
            assert command.wait() == 0, command.tail()
        count.write_text(str(paid(proxy.seen)))
    return Undisturbed(home, int(count.read_text()))
