"""The loop: read the signals, score, order training for the weakest, and again."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from grindstone.competency.checking import check_base, check_names, number
from grindstone.competency.evaluation import CompetencyEval, CompetencyResult
from grindstone.competency.graph import DependencyGraph, Pairs
from grindstone.competency.jobs import TrainingJob, TrainingJobs, TrainingOutcome
from grindstone.errors import GrindstoneError, InputError

Signal = Callable[[], float]


class DomainSpec(NamedTuple):
    """A domain and where its competency is read; `data_path` holds the tasks to train on."""

    name: str
    signal: Signal
    data_path: str = ""


class Reading(NamedTuple):
    """What the signals gave: a competency each, or None and what went wrong."""

    domains: dict[str, float | None]
    problems: dict[str, str]


class Cycle(NamedTuple):
    """One turn of the loop."""

    number: int  # from 0
    result: CompetencyResult
    problems: dict[str, str]  # by domain whose signal failed
    enqueued: list[TrainingJob]
    trained: list[TrainingOutcome]


def read_signals(specs: Sequence[DomainSpec], base: float) -> Reading:
    """Return every domain's competency, read now.

    A signal that raises, or gives something else than a number from 0 to `base`, leaves its
    domain in place and unknown.
    """
    domains: dict[str, float | None] = {}
    problems: dict[str, str] = {}
    for spec in specs:
        try:
            domains[spec.name] = number(f"signal of {spec.name}", spec.signal(), low=0.0, high=base)
        except Exception as error:  # noqa: BLE001 - the user's code; the domain is unknown then
            domains[spec.name] = None
            problems[spec.name] = f"{type(error).__name__}: {error}"[:500]
    return Reading(domains, problems)


class AutonomousCompetencyLoop:
    """Scores live signals over and over, and trains what is weakest until a target is met.

    Attributes:
        cycles: Those that are done.
        last_error: Of the last cycle in the loop's thread that failed; the next one came all the
            same. None: none did.
    """

    def __init__(
        self,
        specs: Sequence[DomainSpec],
        base: float = 10.0,
        dependency: Pairs | None = None,
        interval_seconds: float = 3600.0,
        target_index: float = 0.95,
        *,
        default_weight: float = 1.0,
        jobs: TrainingJobs | None = None,
        max_jobs: int = 1,
        deficit_threshold: float = 0.0,
        on_cycle: Callable[[Cycle], None] | None = None,
    ) -> None:
        """Check everything given; nothing is read or started.

        Args:
            specs: The domains and their signals.
            base: The scale's upper end.
            dependency: Weights of pairs of domains.
            interval_seconds: From the end of one cycle to the start of the next.
            target_index: While the index is below it, training is ordered.
            default_weight: Of pairs not listed.
            jobs: Where training is ordered; one with a runner also trains, within the
                cycle. None: the default home's, whose jobs `grindstone compete` runs.
            max_jobs: Ordered per cycle at most.
            deficit_threshold: Deficits below it are left alone.
            on_cycle: Told every cycle, in the loop's thread.

        Raises:
            InputError: Naming the argument at fault.
        """
        self.base = check_base(base)
        self.specs = tuple(specs)
        names = check_names(spec.name for spec in self.specs)
        for spec in self.specs:
            if not callable(spec.signal):
                raise InputError(f"signal of {spec.name}", "cannot be called", "a function")
        self.graph = DependencyGraph(names, dependency, default_weight=default_weight)
        self.interval_seconds = number("interval_seconds", interval_seconds, low=0.0, high=1e9)
        self.target_index = number("target_index", target_index, low=0.0, high=1.0)
        self.jobs = jobs or TrainingJobs()
        self.max_jobs = int(number("max_jobs", max_jobs, low=0, high=1e6))
        self.deficit_threshold = number(
            "deficit_threshold", deficit_threshold, low=0.0, high=self.base
        )
        self.cycles: list[Cycle] = []
        self.last_error: GrindstoneError | None = None
        self._on_cycle = on_cycle
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._broken: BaseException | None = None

    @property
    def running(self) -> bool:
        """Whether the loop's thread runs."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def data_paths(self) -> Mapping[str, str]:
        """The folders of the domains' tasks, where they are given."""
        return {spec.name: str(spec.data_path) for spec in self.specs if spec.data_path}

    def run_cycle(self) -> Cycle:
        """Read all signals anew, score, order training where the index is below its target."""
        reading = read_signals(self.specs, self.base)
        result = CompetencyEval(reading.domains, self.base, self.graph).run()
        enqueued: list[TrainingJob] = []
        trained: list[TrainingOutcome] = []
        if result.index < self.target_index:
            enqueued = self.jobs.enqueue_from_competency(
                result,
                max_jobs=self.max_jobs,
                deficit_threshold=self.deficit_threshold,
                data_paths=self.data_paths,
            )
        if self.jobs.runner is not None:
            trained = self.jobs.run_pending()
        cycle = Cycle(len(self.cycles), result, reading.problems, enqueued, trained)
        self.cycles.append(cycle)
        if self._on_cycle is not None:
            self._on_cycle(cycle)
        return cycle

    def start(self) -> None:
        """Run cycles in a thread of their own; a loop that runs already goes on."""
        with self._starting:
            if self.running:
                return
            self._done.clear()
            self._broken = None
            self._thread = threading.Thread(target=self._run, name="competency-loop", daemon=True)
            self._thread.start()

    def stop(self, timeout_s: float | None = None) -> None:
        """End the loop after the cycle it is in.

        Args:
            timeout_s: How long to wait for that; None: as long as it takes.

        Raises:
            Exception: What ended the loop before, if anything did.
        """
        self._done.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
        if self._broken is not None:
            raise self._broken

    def _run(self) -> None:
        while not self._done.is_set():
            try:
                self.run_cycle()
            except GrindstoneError as error:
                self.last_error = error  # the next cycle may fare better
            except BaseException as error:  # noqa: BLE001 - raised again by stop()
                self._broken = error
                return
            self._done.wait(self.interval_seconds)
