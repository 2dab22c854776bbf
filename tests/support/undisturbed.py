"""A run that nobody killed, to hold the killed ones against."""

import json
import time
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
    first_call_s: float


def undisturbed_run(home: Path, url: str, start: Callable[[Path, str], Command]) -> Undisturbed:
    """Return the run in a home, made at the first call.

    Args:
        home: Where it is kept.
        url: The model's service.
        start: Starts it in a home, with a service's address.
    """
    measured = home / "measured.json"
    if not measured.exists():
        began, first_s = time.monotonic(), []

        def asked(number: int) -> None:
            first_s.append(time.monotonic() - began)

        with WireFaults(url, before_answer=asked) as proxy:
            command = start(home, proxy.url)
            assert command.wait() == 0, command.tail()
        measured.write_text(json.dumps([paid(proxy.seen), first_s[0]]))
    return Undisturbed(home, *json.loads(measured.read_text()))
