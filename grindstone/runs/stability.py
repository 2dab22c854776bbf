"""How a run's skill library settles: EGL per cycle, into the ledger as it happens."""

from collections.abc import Sequence

from grindstone.gate import compute_egl, is_converged
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import CycleNote, EglRow


class Stability:
    """Counts skills and solved tasks over a run's cycles."""

    def __init__(self, threshold: float, window: int) -> None:
        self._threshold = threshold
        self._window = window
        self._solved: set[str] = set()
        self._skills = 0
        self._history: list[float | None] = []

    @property
    def converged(self) -> bool:
        """Whether EGL stayed below the threshold for the window."""
        return is_converged(self._history, threshold=self._threshold, window=self._window)

    def note(self, ledger: Ledger, run_key: str, cycles: Sequence[CycleNote]) -> None:
        """Add cycles."""
        for cycle in cycles:
            ledger.append([self._row(run_key, cycle)], run_key=run_key)

    def _row(self, run_key: str, cycle: CycleNote) -> EglRow:
        self._solved.update(cycle.solved)
        self._skills += cycle.new_skills
        egl = compute_egl(cycle.new_skills, len(self._solved))
        self._history.append(egl)
        return EglRow(
            run_key=run_key,
            index=len(self._history) - 1,
            new_skills=cycle.new_skills,
            tasks_solved=len(self._solved),
            cumulative_skills=self._skills,
            egl=egl,
            threshold=self._threshold,
            converged=self.converged,
        )
