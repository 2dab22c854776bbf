"""Where outcomes are kept: appended to the ledger, never counted in place."""

from grindstone.competency.checking import number
from grindstone.errors import InputError
from grindstone.ledger.compaction import compact
from grindstone.ledger.store import Ledger
from grindstone.ledger.tables.autonomy import OutcomeRow

MERGE_AT = 64
"""Parts of one row each, at which they are merged."""


class OutcomeLog:
    """The outcomes of one member. Any number of processes may append at once."""

    def __init__(self, ledger: Ledger, member_name: str) -> None:
        """Name the member; the same name again finds its outcomes."""
        if not member_name.strip():
            raise InputError("member_name", "is empty", "the member's name")
        self.member_name = member_name
        self._ledger = ledger
        self._run_key = f"outcomes.{member_name}"
        self._seen: tuple[str, ...] = ()
        self._rows: tuple[OutcomeRow, ...] = ()

    def rows(self) -> tuple[OutcomeRow, ...]:
        """Return all outcomes in the order of the fold, other processes' included.

        Whoever saw an outcome numbers its own higher; of two that saw the same ones, the
        earlier clock goes first, and the id decides between equals. All readers agree.
        """
        parts = tuple(part.name for part in self._ledger.parts("outcomes", self._run_key))
        if parts != self._seen:
            found = self._ledger.rows(OutcomeRow, self._run_key)
            self._rows = tuple(
                sorted(found, key=lambda row: (row.sequence, row.at, row.outcome_id))
            )
            self._seen = parts
        return self._rows

    def append(self, row: OutcomeRow) -> OutcomeRow:
        """Keep an outcome; the same id again changes nothing.

        Returns:
            The row as it was kept, with its sequence.
        """
        if row.value is not None:
            number("value", row.value, low=0.0, high=float("inf"))
        earlier = self.rows()
        sequence = max((each.sequence for each in earlier), default=-1) + 1
        kept = row.model_copy(update={"sequence": sequence, "member_name": self.member_name})
        self._ledger.append([kept], run_key=self._run_key)
        if len(self._ledger.live_parts("outcomes", self._run_key)) >= MERGE_AT:
            compact(self._ledger, self._run_key)
        return kept
