"""What a process knows of its own share of a run's ceilings, so that most calls ask nobody."""

import math
import re
import threading
import time
from uuid import uuid4

from grindstone.llm.budget import Spending
from grindstone.runs import lease
from grindstone.runs.account import Amount, InUse, limit_of


def is_name(text: str) -> bool:
    """Return whether something is called as a share is."""
    return re.fullmatch("[0-9a-f]{32}", text) is not None


class OwnShare:
    """A share as its process keeps it; any thread may ask and tell.

    Attributes:
        name: Under which it is in the account, and its paid calls in the journal.
    """

    def __init__(self) -> None:
        """Hold nothing; what is granted is not known yet."""
        self.name = uuid4().hex
        self._lock = threading.Lock()
        self._spent = self._expected = self._most = Amount()
        self._granted: Amount | None = None  # while it is not known
        self._limit: Amount | None = None  # under which it was granted
        self._seen_at = -math.inf  # when it was last seen in the account

    @property
    def use(self) -> InUse:
        """What was spent, and what calls in flight may take."""
        with self._lock:
            return InUse(self._spent, self._expected, self._most)

    def take(self, expected: Amount, most: Amount, limit: Amount) -> bool:
        """Set aside what a call may use, where the share has it or nothing is limited.

        Args:
            expected: By the call.
            most: By the call, at most.
            limit: Of the run, at the moment.

        Returns:
            False where somebody has to be asked.
        """
        fresh = time.monotonic() - self._seen_at < lease.LOST_S - 2 * lease.BEAT_S
        with self._lock:
            if limit != limit_of(Spending()):
                if self._granted is None or not fresh or limit != self._limit:
                    return False
                if not most.within(self._granted - self._spent - self._most, limit):
                    return False
            self._expected += expected
            self._most += most
        return True

    def set_aside(self, expected: Amount, most: Amount) -> None:
        """Set aside what a call may use that somebody was asked for."""
        with self._lock:
            self._expected += expected
            self._most += most

    def give_back(self, expected: Amount, most: Amount) -> None:
        """Have a call's end free what was set aside for it."""
        with self._lock:
            self._expected -= expected
            self._most -= most

    def pay(self, amount: Amount) -> None:
        """Count what a call has cost."""
        with self._lock:
            self._spent += amount

    def suspend(self) -> None:
        """Have no call begin from it until it is granted anew: the account is about to change."""
        with self._lock:
            self._granted = None

    def grant(self, granted: Amount) -> None:
        """Take in how much of a run's ceilings it is, all that was spent included."""
        with self._lock:
            self._granted = granted

    def granted_under(self, limit: Amount) -> None:
        """Take in which limit of the run it was asked for under."""
        with self._lock:
            self._limit = limit

    def seen(self) -> None:
        """Take in that the account had it just now."""
        self._seen_at = time.monotonic()

    def missed(self) -> None:
        """Take in that the account has it no more: the next call asks."""
        self._seen_at = -math.inf

    def rename(self) -> None:
        """Begin another one: this one was given up, and what it spent is read from the journal."""
        with self._lock:
            self.name, self._spent = uuid4().hex, Amount()
