"""What the processes of a run hold of its ceilings: the account they share, and its arithmetic.

Each process holds a share: so much it may spend without asking. What all shares and what is
settled come to never passes a ceiling, so the processes together spend no more than that. A call
takes as much of a share as it may use at most. Towards the end, when that fits nowhere, processes
give back what they do not use; when no call is in flight in any of them, one call alone may begin
that is expected to fit. So a ceiling is passed by at most what that one uses beyond its estimate.
"""

import math
from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from pydantic import NonNegativeInt

from grindstone.base import Frozen
from grindstone.errors import BudgetExceededError
from grindstone.llm.budget import Spending
from grindstone.sandbox.owner import Owner

PARTS = 4
"""A process is given a share's part of what is free: this number times that of the processes."""
_ROUNDING = 1e-9


class Amount(Frozen):
    """Tokens and US dollars."""

    tokens: float = 0
    usd: float = 0.0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(tokens=self.tokens + other.tokens, usd=self.usd + other.usd)

    def __sub__(self, other: "Amount") -> "Amount":
        return Amount(tokens=self.tokens - other.tokens, usd=self.usd - other.usd)

    def within(self, room: "Amount", limit: "Amount") -> bool:
        """Return whether it fits, in what the limit bounds."""
        tokens = self.tokens <= room.tokens + _ROUNDING or limit.tokens == math.inf
        return tokens and (self.usd <= room.usd + _ROUNDING or limit.usd == math.inf)

    def part(self, parts: int) -> "Amount":
        """Return one of so many equal parts of what is bounded and above zero."""
        return Amount(tokens=_part(self.tokens, parts), usd=_part(self.usd, parts))

    def at_most(self, other: "Amount") -> "Amount":
        """Return the lesser of each."""
        return Amount(tokens=min(self.tokens, other.tokens), usd=min(self.usd, other.usd))

    def at_least(self, other: "Amount") -> "Amount":
        """Return the greater of each."""
        return Amount(tokens=max(self.tokens, other.tokens), usd=max(self.usd, other.usd))


EVERYTHING = Amount(tokens=1e18, usd=1e15)
"""More than any ceiling."""
NOBODY = "nobody"
"""The share that keeps what is free while nobody knows what others hold."""


def limit_of(ceilings: Spending) -> Amount:
    """Return ceilings as an amount, infinite where there is none."""
    tokens, usd = ceilings.max_tokens_total, ceilings.max_cost_usd
    return Amount(
        tokens=math.inf if tokens is None else tokens, usd=math.inf if usd is None else usd
    )


class Share(Frozen):
    """What one process holds."""

    granted: Amount = Amount()  # since it began: what it has spent is part of it
    spent: Amount = Amount()  # as it last told
    waits: NonNegativeInt = 0  # its place among those that wait for more; 0: it does not
    host: str = ""
    pid: int = 0
    started: str = ""

    @property
    def taken(self) -> Amount:
        """What nobody else may spend."""
        return self.granted.at_least(self.spent)

    @property
    def ended(self) -> bool:
        """Whether its process is known to be dead."""
        return not Owner(self.host, self.pid, self.started).alive()


class Account(Frozen):
    """What was spent by processes that hold no share, and the shares."""

    settled: Amount = Amount()
    shares: Mapping[str, Share] = {}
    served: NonNegativeInt = 0  # the last place that was given to one that waits

    def having(self, name: str, share: Share, **changes: object) -> "Account":
        """Return the account with a process's share put in or replaced."""
        return self.model_copy(update={"shares": {**self.shares, name: share}, **changes})

    def without(self, *names: str) -> "Account":
        """Return the account without some shares; what they spent is not settled."""
        left = {name: share for name, share in self.shares.items() if name not in names}
        return self.model_copy(update={"shares": left})

    def settling(self, more: Amount) -> "Account":
        """Return the account with more settled."""
        return self.model_copy(update={"settled": self.settled + more})

    def others(self, name: str) -> list[Share]:
        """Return the shares of all but one process."""
        return [share for other, share in self.shares.items() if other != name]


class InUse(NamedTuple):
    """What a process has spent since it began, and what its calls in flight may take."""

    spent: Amount
    expected: Amount
    most: Amount

    @property
    def all(self) -> Amount:
        """What it holds at least."""
        return self.spent + self.most


class Ruling(Enum):
    """What becomes of a call that asks to begin."""

    BEGIN = "begin"
    WAIT = "wait"
    REFUSE = "refuse"


class AskedBudget(NamedTuple):
    """The account after somebody asked, and what he was told."""

    account: Account
    ruling: Ruling
    reserved: Amount  # of the share, by the call
    spent: Amount  # by all, as told so far
    held: Amount  # by all beside that


def asked(
    account: Account, name: str, use: InUse, *, expected: Amount, most: Amount, limit: Amount
) -> AskedBudget:
    """Return what becomes of a call of a process that holds a share.

    Args:
        account: As it is.
        name: The process.
        use: What it has spent and has in flight.
        expected: By the call.
        most: By the call, at most.
        limit: Of the run.
    """
    mine, others = account.shares[name], account.others(name)
    kept = mine.model_copy(update={"spent": use.spent, "granted": use.all, "waits": 0})
    told = account.settled + use.spent + _sum([share.spent for share in others])
    taken = account.settled + use.all + _sum([share.taken for share in others])
    free, held = limit - taken, taken - told
    places = [share.waits for share in others if share.waits]
    first = not places or 0 < mine.waits < min(places)

    def answer(share: Share, ruling: Ruling, reserved: Amount, served: int = 0) -> AskedBudget:
        after = account.having(name, share, served=served or account.served)
        return AskedBudget(after, ruling, reserved, told, held)

    if first and most.within(free, limit):
        spare = Amount() if places else (free - most).part(PARTS * (len(others) + 1))
        granted = use.all + most + spare
        return answer(kept.model_copy(update={"granted": granted}), Ruling.BEGIN, most)
    if not (expected + use.expected).within(limit - told, limit):
        return answer(kept, Ruling.REFUSE, Amount())
    if first and held.within(Amount(), limit):
        alone = most.at_most(free)
        granted = use.all + alone
        return answer(kept.model_copy(update={"granted": granted}), Ruling.BEGIN, alone)
    place = mine.waits or account.served + 1
    waiting = kept.model_copy(update={"waits": place})
    return answer(waiting, Ruling.WAIT, Amount(), max(place, account.served))


def refusal(found: AskedBudget, expected: Amount, limit: Amount) -> BudgetExceededError:
    """Return the error of a call that does not fit under a ceiling any more.

    Args:
        found: What it was told.
        expected: By the call.
        limit: Of the run.
    """
    held = found.held.at_most((limit - found.spent).at_least(Amount()))
    if found.spent.tokens + held.tokens + expected.tokens > limit.tokens:
        return BudgetExceededError.in_tokens(
            found.spent.tokens, held.tokens, expected.tokens, limit.tokens
        )
    return BudgetExceededError.in_usd(found.spent.usd, held.usd, expected.usd, limit.usd)


def _sum(amounts: list[Amount]) -> Amount:
    return sum(amounts, start=Amount())


def _part(of: float, parts: int) -> float:
    return of / parts if 0 < of < math.inf else 0.0
