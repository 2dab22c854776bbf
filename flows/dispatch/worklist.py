"""What a run that has its attempts made elsewhere has still to do, and what came of the others.

It is told what ended and how. It decides what is tried again, what stops the run and what is left
without a score; where attempts go, and how one hears of them, is not its concern.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from grindstone.errors import (
    POLICIES,
    BudgetExceededError,
    Cause,
    GrindstoneError,
    InfrastructureError,
    InputError,
)
from grindstone.flows.attempt import PlannedAttempt
from grindstone.records import Episode
from grindstone.runs.slicing import that_fit
from grindstone.runs.steered import Steering, lifted

BESIDE_OTHERS = 2
"""Tries of an attempt beside others. One that ends its worker each time, by taking all its memory,
say, takes those beside it along; after that many losses each of them is tried alone."""

Attempts = dict[str, PlannedAttempt]
"""Attempts by the id of their episode, in the order they were asked for."""


class LostAttempt(NamedTuple):
    """An attempt that is tried no more, and what kept it from a score."""

    item: PlannedAttempt
    error: InfrastructureError


class Worklist:
    """Attempts of one run: each waits, is on its way, or has an episode.

    Attributes:
        waiting: Those that are not on their way.
        settled: The episodes of those that are done, by id.
        stopped_by: What the run ends with, once nothing is on its way; None: with its episodes.
    """

    def __init__(self, wanted: Sequence[PlannedAttempt], steering: Steering) -> None:
        """Let all of them wait.

        Args:
            wanted: What to try, each once.
            steering: The run's ceilings and orders; an order to try errors again is past.
        """
        self._wanted: Attempts = {item.spec.episode_id: item for item in wanted}
        self._steering = steering
        self._retried = steering.now.retried
        self._losses: Counter[str] = Counter()
        self._capped: Attempts = {}  # what a ceiling stopped
        self.waiting: Attempts = dict(self._wanted)
        self.settled: dict[str, Episode] = {}
        self.stopped_by: GrindstoneError | None = None

    @property
    def open(self) -> bool:
        """Whether something waits, or may yet: a paused run's ceiling can still be raised."""
        return bool(self.waiting or (self._capped and self._steering.now.paused))

    @property
    def mean_s(self) -> float | None:
        """Seconds that an attempt took on average; None while none is done."""
        took = [(row.ended_at - row.started_at).total_seconds() for row in self.settled.values()]
        return sum(took) / len(took) if took else None

    @property
    def scored(self) -> list[str]:
        """The ids of the episodes that have a score."""
        return [name for name, row in self.settled.items() if row.passed is not None]

    @property
    def all_scored(self) -> bool:
        """Whether whoever began an attempt again would find its score."""
        return len(self.scored) == len(self._wanted)

    def episodes(self) -> list[Episode]:
        """Return the episodes there are, in the order asked for."""
        return [self.settled[name] for name in self._wanted if name in self.settled]

    def leave_out(self) -> None:
        """Have nothing wait any more: what is not on its way is not needed."""
        self.waiting, self._capped = {}, {}

    def next(self, size: int, means: Collection[object] | None = None) -> Attempts:
        """Return the next that wait, as many as fit into one slice; they go on waiting.

        Args:
            size: How many at the most.
            means: Only those with one of these means (`AttemptSpec.means`), and that are not to be
                alone: they join others.
        """
        first = list(islice(self.waiting.items(), 1))
        if means is None and self.is_alone(name for name, _ in first):
            return dict(first)
        fit = (
            (name, item)
            for name, item in self.waiting.items()
            if (means is None or item.spec.means in means) and not self.is_alone([name])
        )
        found = list(islice(fit, size))
        sizes = [len(item.spec.model_dump_json()) for _, item in found]
        return dict(found[: that_fit(sizes, size)])

    def is_alone(self, names: Iterable[str]) -> bool:
        """Return whether one of some attempts is tried without others beside it."""
        return any(self._losses[name] >= BESIDE_OTHERS for name in names)

    def take(self, names: Iterable[str]) -> Attempts:
        """Have some wait no more, since they are on their way; return those that did wait."""
        return {name: self.waiting.pop(name) for name in list(names) if name in self.waiting}

    def unsettled(self, items: Attempts) -> Attempts:
        """Return those without an episode."""
        return {name: item for name, item in items.items() if name not in self.settled}

    def settle(self, names: Iterable[str], found: Mapping[str, Episode]) -> list[Episode]:
        """Keep the episodes of some as far as they are found; return those that are new."""
        new = {name: found[name] for name in names if name in found and name not in self.settled}
        self.settled |= new
        return list(new.values())

    def lift(self) -> None:
        """Let what a ceiling stopped wait again, where that is higher by now."""
        stop = self.stopped_by
        if isinstance(stop, BudgetExceededError) and lifted(stop, self._steering.ceilings):
            self.stopped_by = None
            self.waiting |= self._capped
            self._capped = {}

    def retry(self) -> None:
        """Let what has no score wait again, where an order says so."""
        if self.stopped_by is not None or self._steering.now.retried <= self._retried:
            return
        self._retried = self._steering.now.retried
        for name, item in self._wanted.items():
            known = self.settled.get(name)
            if known is not None and known.passed is None:
                del self.settled[name]
                self.waiting[name] = item

    def end(self, left: Attempts, error: Exception) -> list[LostAttempt]:
        """Take in that some were left undone.

        A ceiling and a fault of what was given stop the run, and nothing waits any more. Anything
        else costs these attempts one of their tries.

        Args:
            left: Without an episode.
            error: What ended who was at work on them.

        Returns:
            Those that have had all their tries.
        """
        if isinstance(error, BudgetExceededError):
            if not isinstance(self.stopped_by, InputError):  # which nobody lifts
                self.stopped_by = error
                self._capped |= left | self.waiting
            self.waiting = {}
            return []
        if isinstance(error, GrindstoneError) and not isinstance(error, InfrastructureError):
            self.stopped_by, self.waiting, self._capped = error, {}, {}
            return []
        self._losses.update(left.keys())
        tries = POLICIES[Cause.WORKER_LOST].tries
        self.waiting |= {name: it for name, it in left.items() if self._losses[name] < tries}
        lost = (
            error
            if isinstance(error, InfrastructureError)
            else InfrastructureError(Cause.WORKER_LOST, str(error))
        )
        return [LostAttempt(it, lost) for name, it in left.items() if self._losses[name] >= tries]
