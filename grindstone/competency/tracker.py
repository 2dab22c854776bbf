"""A member's live competency: a moving average over what came of its tasks.

    c ← (1 - alpha) c + alpha x,   x = base for a success, 0 for a failure, or the graded value

starting from the seed, or from a prior of half the base. The average is a fold over the
outcomes in their order; where a log is given they are the ledger's, so nothing is lost to
a race or a restart.
"""

import threading
from collections.abc import Callable, Iterable, Mapping

from grindstone.competency.checking import check_base, number
from grindstone.competency.outcomes import OutcomeLog
from grindstone.digest import digest
from grindstone.errors import InputError
from grindstone.ledger.tables.autonomy import OutcomeRow
from grindstone.records import utc_now

ALPHA = 0.3


class CompetencyTracker:
    """Competency per domain, moved by every outcome. Safe to use from several threads."""

    def __init__(
        self,
        base: float = 10.0,
        seed: Mapping[str, float] | None = None,
        *,
        alpha: float = ALPHA,
        prior: float | None = None,
        log: OutcomeLog | None = None,
    ) -> None:
        """Start from a seed.

        Args:
            base: The scale's upper end.
            seed: Competency per domain to start from.
            alpha: How much of the average each outcome replaces, above 0 and at most 1.
            prior: Where domains without a seed start; half the base, as a rule.
            log: Keeps the outcomes; None: they are forgotten with this object.

        Raises:
            InputError: A number is out of range or no number; seeds must lie in [0, base].
        """
        self.base = check_base(base)
        self.alpha = number("alpha", alpha, low=1e-9, high=1.0)
        middle = 0.5 * self.base if prior is None else prior
        self.prior = number("prior", middle, low=0.0, high=self.base)
        self.seed = {
            name: number(f"seed[{name!r}]", value, low=0.0, high=self.base)
            for name, value in (seed or {}).items()
        }
        self._log = log
        self._outcomes: list[OutcomeRow] = []
        self._lock = threading.RLock()

    def competency(self, domain: str) -> float:
        """Return the present competency, from 0 to base."""
        return fold(
            (row for row in self._rows() if row.domain == domain),
            start=self.seed.get(domain, self.prior),
            alpha=self.alpha,
            base=self.base,
        )

    def evidence(self, domain: str) -> int:
        """Return how many outcomes the domain has had."""
        return sum(row.domain == domain for row in self._rows())

    def domains(self) -> tuple[str, ...]:
        """Return the domains with a seed or an outcome."""
        return tuple(dict.fromkeys([*self.seed, *(row.domain for row in self._rows())]))

    def competencies(self) -> dict[str, float]:
        """Return the present competency of every such domain."""
        return {domain: self.competency(domain) for domain in self.domains()}

    def signal(self, domain: str) -> Callable[[], float]:
        """Return a function that gives the present competency: a `DomainSpec`'s signal."""
        return lambda: self.competency(domain)

    def record(
        self,
        domain: str,
        success: bool,
        *,
        value: float | None = None,
        outcome_id: str = "",
        about: OutcomeRow | None = None,
    ) -> float:
        """Take in what came of a task.

        Args:
            domain: The task's.
            success: Whether it was done.
            value: How well, from 0 to base, where that is known.
            outcome_id: Its identity (an episode's id, say); the same one again changes nothing.
            about: A row whose other fields (agent, episode, policy, tier) are kept with it.

        Returns:
            The competency after it.

        Raises:
            InputError: The domain is empty, `success` is no truth value, or the value is out
                of range or no number.
        """
        if not domain.strip():
            raise InputError("domain", "is empty", "the task's domain")
        if not isinstance(success, bool):
            raise InputError("success", f"is {success!r}", "True or False")
        graded = None if value is None else number("value", value, low=0.0, high=self.base)
        now = utc_now()
        with self._lock:
            named = outcome_id or digest([domain, success, graded, len(self._rows()), str(now)])
            given = {
                "outcome_id": named,
                "domain": domain,
                "success": success,
                "value": graded,
                "at": now,
            }
            row = about.model_copy(update=given) if about else OutcomeRow.model_validate(given)
            if self._log is not None:
                self._log.append(row)
            elif all(each.outcome_id != named for each in self._outcomes):
                self._outcomes.append(row)
            return self.competency(domain)

    def _rows(self) -> tuple[OutcomeRow, ...]:
        with self._lock:
            return tuple(self._outcomes) if self._log is None else self._log.rows()


def fold(rows: Iterable[OutcomeRow], *, start: float, alpha: float, base: float) -> float:
    """Return the moving average after some outcomes, in the order given."""
    level = start
    for row in rows:
        reached = row.value if row.value is not None else base * row.success
        level = (1.0 - alpha) * level + alpha * min(reached, base)
    return level
