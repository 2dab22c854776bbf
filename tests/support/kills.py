"""Kills of a run at seeded moments of its model calls, and what was paid for in spite of them.

Half of the kills come while an answer is on its way: it is lost, and asked again. Half come after
an answer went in whole, while nothing is asked: none may be paid again for these.
"""

import random
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from support.cli_runs import Command
from support.wire_faults import Seen, WireFaults

SETTLED_S = 1.0
"""After an answer has gone in, until it is surely in the journal; no other is let through."""


GONE_S = 0.3
"""Until a killed process has let go of its connections: what it asked last is not answered."""


class Kill(NamedTuple):
    """When: after so many answers; the next one is on its way, or nothing is."""

    answers: int
    on_its_way: bool


class Killed(NamedTuple):
    """What a run that was killed again and again came to."""

    kills: tuple[Kill, ...]
    seen: tuple[Seen, ...]
    command: Command
    code: int | None

    @property
    def lost(self) -> int:
        """Answers that kills caught on their way."""
        return sum(kill.on_its_way for kill in self.kills)


def paid(seen: Iterable[Seen]) -> int:
    """Return how many answers the service gave that cost something."""
    return sum(each.forwarded and "count_tokens" not in each.path for each in seen)


def kill_again_and_again(
    home: Path,
    url: str,
    start: Callable[[Path, str], Command],
    *,
    kills: int,
    calls: int,
    seed: str,
) -> Killed:
    """Kill a run and go on with it, until it has ended.

    Args:
        home: Where it is kept.
        url: The model's service.
        start: Starts it, or goes on with it, in a home, with a service's address.
        kills: How often.
        calls: How many answers a run takes that nobody kills.
        seed: Of the moments.
    """
    chance = random.Random(seed)
    moments = (Kill(chance.randrange(1, calls - 2), on_its_way=bool(n % 2)) for n in range(kills))
    left, made = sorted(moments), []
    command: Command | None = None
    killed: Command | None = None
    passed = 0

    def kill_where_due(*, on_its_way: bool) -> None:
        nonlocal killed
        if command is None or command is killed:  # one that is dead is not killed again
            return
        due = next((k for k in left if k.answers <= passed and k.on_its_way == on_its_way), None)
        if due is None:
            return
        if not on_its_way:
            time.sleep(SETTLED_S)
        left.remove(due)
        made.append(due)
        killed = command
        command.kill()
        time.sleep(GONE_S)

    def before(count: int) -> None:
        kill_where_due(on_its_way=True)

    def after(count: int) -> None:
        nonlocal passed
        passed += 1
        kill_where_due(on_its_way=False)

    with WireFaults(url, before_answer=before, after_answer=after) as proxy:
        while True:
            command = start(home, proxy.url)
            if (code := command.wait()) != -9:
                break
    return Killed(tuple(made), proxy.seen, command, code)
