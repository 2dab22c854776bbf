"""Kills of a run at seeded moments, and what was paid for in spite of them.

A third of the kills come while an answer is on its way: it is lost, and asked again. A third come
after an answer went in whole, while nothing is asked: none may be paid again for these. The rest
come some time after the run went on, within what it takes to its first new question: while it
starts, makes its attempts again and gets the answers it had. Each hits a process that is alive.
"""

import random
import threading
import time
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from support.cli_runs import Command
from support.wire_faults import Seen, WireFaults

SETTLED_S = 1.0
"""After an answer has gone in, until it is surely in the journal; no other is let through."""


GONE_S = 0.3
"""Until a killed process has let go of its connections: what it asked last is not answered."""


class KillMoment(StrEnum):
    """When a process is killed."""

    ON_ITS_WAY = "an answer is on its way"
    SETTLED = "an answer has gone in"
    GOING_ON = "it goes on with what it had"


class Kill(NamedTuple):
    """One that hit."""

    moment: KillMoment
    answers: int
    """That had gone in by then, over all processes."""


class Killed(NamedTuple):
    """What a run that was killed again and again came to."""

    kills: tuple[Kill, ...]
    lost: int
    """Answers that kills caught on their way."""
    seen: tuple[Seen, ...]
    command: Command
    code: int | None


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
    first_call_s: float,
    seed: str,
) -> Killed:
    """Kill a run and go on with it, until it has ended.

    Args:
        home: Where it is kept.
        url: The model's service.
        start: Starts it, or goes on with it, in a home, with a service's address.
        kills: How often.
        calls: How many answers a run takes that nobody kills; each of the kills while nothing is
            asked lets one through.
        first_call_s: How long such a run takes to its first question, at most.
        seed: Of the moments.
    """
    chance = random.Random(seed)
    due = _schedule(chance, kills, calls)
    process = _Killable(due, first_call_s)
    with WireFaults(url, before_answer=process.answering, after_answer=process.answered) as proxy:
        while True:
            command = process.begin(start(home, proxy.url))
            if process.due(KillMoment.GOING_ON):
                end = time.monotonic() + chance.uniform(0.05, 0.95) * process.first_call_s
                if command.wait(lambda at=end: time.monotonic() > at) is None:
                    process.kill(KillMoment.GOING_ON)
            if (code := command.wait()) != -9:
                break
    return Killed(tuple(process.kills), process.lost, proxy.seen, command, code)


def _schedule(chance: random.Random, kills: int, calls: int) -> list[Kill]:
    """Return what is due, in order; a kill of one that goes on follows any other."""
    answers = range(1, calls - 2)
    settled = chance.sample(answers, min(kills // 3, len(answers)))
    on_its_way = [chance.choice(answers) for _ in range((kills - len(settled)) // 2)]
    due = [Kill(KillMoment.SETTLED, n) for n in settled]
    due += [Kill(KillMoment.ON_ITS_WAY, n) for n in on_its_way]
    due.sort(key=lambda kill: kill.answers)
    while len(due) < kills:
        due.insert(chance.randint(0, len(due)), Kill(KillMoment.GOING_ON, 0))
    return due


class _Killable:
    """The process that runs now; told by the wire of answers, by the test of time."""

    def __init__(self, due: list[Kill], first_call_s: float) -> None:
        self.first_call_s = first_call_s  # the shortest seen
        self.kills: list[Kill] = []
        self.lost = 0
        self._due = due
        self._lock = threading.RLock()
        self._command: Command | None = None
        self._passed = 0
        self._passed_at = 0.0
        self._began, self._asked = 0.0, False
        self._on_their_way: set[int] = set()

    def begin(self, command: Command) -> Command:
        with self._lock:
            self._command = command
            self._began, self._asked = time.monotonic(), False
        return command

    def due(self, moment: KillMoment) -> bool:
        """Whether the next kill is one of these, and it is time."""
        first = self._due[0] if self._due else None
        return first is not None and first.moment == moment and first.answers <= self._passed

    def answering(self, number: int) -> None:
        """Kill what waits for an answer, where that is due; a dead one's answer is lost."""
        with self._lock:
            self._on_their_way.add(number)
            if self._command is None:
                self._lose()
                return
            if not self._asked:
                self._asked = True
                self.first_call_s = min(self.first_call_s, time.monotonic() - self._began)
            self.kill(KillMoment.ON_ITS_WAY)

    def answered(self, number: int) -> None:
        """Count an answer that went in, and kill who got it, where that is due."""
        with self._lock:
            if number not in self._on_their_way:
                return
            self._on_their_way.remove(number)
            self._passed += 1
            self._passed_at = time.monotonic()
            if self._command is not None and self.due(KillMoment.SETTLED):
                time.sleep(SETTLED_S)
                self.kill(KillMoment.SETTLED)

    def kill(self, moment: KillMoment) -> None:
        """Kill the process, where that is due and it lives."""
        with self._lock:
            if self._command is None or not self._command.alive or not self.due(moment):
                return
            self._due.pop(0)
            self._command.kill()
            self._command = None
            self.kills.append(Kill(moment, self._passed))
            self._lose()
            if time.monotonic() - self._passed_at < SETTLED_S:
                self.lost += 1  # it may not have been in the journal yet
            time.sleep(GONE_S)

    def _lose(self) -> None:
        self.lost += len(self._on_their_way)
        self._on_their_way.clear()
