"""Spend of one run and its ceilings: the one owner of both.

A call is refused when what was spent, what those in flight are expected to use and its own
estimate together pass a ceiling. The estimate is the prompt's size plus the longest answer so far
(1,024 tokens before the first), never more than the call may use. Near a ceiling calls wait for one
another: beside others one begins only where all may use the most they can, but for the one that may
pass its estimate by most. So a ceiling is passed by at most what one call uses beyond its estimate.
Where several processes spend under one ceiling, each has a share of it instead: `SharedCeilings`.

Tokens told by tries that brought no answer count too, also those of calls that were given
up or cancelled; these are in no count of calls.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

from pydantic import PositiveFloat, PositiveInt

from grindstone.base import Frozen
from grindstone.errors import BudgetExceededError
from grindstone.llm.calls import CallRecord
from grindstone.records import Usage

_BYTES_PER_TOKEN = 3.0  # of JSON; English prose has about 4, code about 3
_FIRST_ANSWER_TOKENS = 1024
_DENSEST_BYTES_PER_TOKEN = 2.0
_LONGEST_ANSWER_TOKENS = 64_000  # where a request does not say how long its answer may be


class Spending(Frozen):
    """A run's ceilings, None for none, and whose prices its rehearsals are metered at."""

    max_cost_usd: PositiveFloat | None = None
    max_tokens_total: PositiveInt | None = None
    rehearsal_price_as: str | None = None


class Spend(Frozen):
    """What a run's calls used, replayed ones included: each call counts once."""

    usage: Usage = Usage()
    lost: Usage = Usage()
    cost_usd: float | None = 0.0
    """None when calls were made and none of them has a known price."""
    calls: int = 0
    replayed_calls: int = 0
    """Of these, how many this process took from the journal."""
    unpriced_calls: int = 0

    @property
    def told(self) -> str:
        """Dollars; tokens where nothing is paid or the price is unknown; empty before a call."""
        tokens = (self.usage + self.lost).total_tokens
        if not self.cost_usd:
            return f"{_short(tokens)} tokens" if tokens else ""
        # Less than a cent is not nothing.
        return f"${self.cost_usd:,.2f}" if self.cost_usd >= 0.01 else f"${self.cost_usd:.4f}"


class RequestSize(NamedTuple):
    """What is known of a request before it is asked."""

    prompt_bytes: int  # as JSON
    max_tokens: int | None = None  # that its answer may use; None: it does not say


class CallNeed(NamedTuple):
    """What a call is expected to use, and what it may use at most."""

    tokens: int
    cost_usd: float
    most_tokens: int
    most_usd: float


class SharedCeilings(Protocol):
    """Ceilings that hold over several processes."""

    @property
    def payer(self) -> str:
        """The name under which this process spends."""
        ...

    async def begin(
        self, need: CallNeed, ceilings: Callable[[], Awaitable[Spending]]
    ) -> Callable[[], None]:
        """Set aside what a call needs, once there is room for it.

        Args:
            need: Of the call.
            ceilings: Asked for those of the moment.

        Returns:
            What gives it back.

        Raises:
            BudgetExceededError: It does not fit under a ceiling any more.
        """
        ...

    def paid(self, record: CallRecord) -> None:
        """Count a call that this process has paid, before what was set aside is given back."""
        ...


class SpendMeter:
    """Counts what is spent and refuses calls past a ceiling. For one event loop."""

    def __init__(self, ceilings: Spending = Spending()) -> None:
        self.cap(ceilings)
        self._counted: set[str] = set()
        self._met: set[str] = set()
        self._usage = Usage()
        self._lost = Usage()
        self._cost_usd = 0.0
        self._priced_calls = 0
        self._unpriced_calls = 0
        self._replayed_calls = 0
        self._in_flight: list[CallNeed] = []
        self._released = asyncio.Event()
        self._longest_answer = 0

    def cap(self, ceilings: Spending) -> None:
        """Have other ceilings from now on; calls in flight are let be."""
        self.ceilings = ceilings
        self._max_cost_usd = ceilings.max_cost_usd
        self._max_tokens_total = ceilings.max_tokens_total

    @property
    def capped_in_money(self) -> bool:
        """Whether a ceiling in US dollars is set."""
        return self._max_cost_usd is not None and math.isfinite(self._max_cost_usd)

    @property
    def capped(self) -> bool:
        """Whether any ceiling is set."""
        return self.capped_in_money or self._max_tokens_total is not None

    def spent(self) -> Spend:
        """Return what was spent so far."""
        unknown = self._priced_calls == 0 and self._unpriced_calls > 0
        return Spend(
            usage=self._usage,
            lost=self._lost,
            cost_usd=None if unknown else self._cost_usd,
            calls=self._priced_calls + self._unpriced_calls,
            replayed_calls=self._replayed_calls,
            unpriced_calls=self._unpriced_calls,
        )

    def guess(self, size: RequestSize) -> tuple[Usage, Usage]:
        """Return what a request will use, about, and what it may use at most."""
        longest = _LONGEST_ANSWER_TOKENS if size.max_tokens is None else size.max_tokens
        answer = min(longest, self._longest_answer or _FIRST_ANSWER_TOKENS)
        return (
            Usage(input_tokens=int(size.prompt_bytes / _BYTES_PER_TOKEN), output_tokens=answer),
            Usage(
                input_tokens=int(size.prompt_bytes / _DENSEST_BYTES_PER_TOKEN),
                output_tokens=longest,
            ),
        )

    async def begin(self, need: CallNeed) -> None:
        """Set aside what a call needs, once there is room for it; give it back with `release`.

        Raises:
            BudgetExceededError: It does not fit under a ceiling any more.
        """
        while not self.reserve(need):
            self._released.clear()
            await self._released.wait()

    def reserve(self, need: CallNeed) -> bool:
        """Set aside what a call needs; False where it must wait for others to end.

        Raises:
            BudgetExceededError: It does not fit under a ceiling any more.
        """
        every = [*self._in_flight, need]
        free_tokens, free_usd = math.inf, math.inf
        if self._max_tokens_total is not None:
            free_tokens = self._max_tokens_total - self._usage.total_tokens
            free_tokens -= self._lost.total_tokens
        if self._max_cost_usd is not None:
            free_usd = self._max_cost_usd - self._cost_usd
        if sum(call.tokens for call in every) > free_tokens:
            used = self._usage.total_tokens + self._lost.total_tokens
            reserved = sum(call.tokens for call in self._in_flight)
            raise BudgetExceededError.in_tokens(
                used, reserved, need.tokens, self._max_tokens_total or 0
            )
        if sum(call.cost_usd for call in every) > free_usd:
            reserved_usd = sum(call.cost_usd for call in self._in_flight)
            raise BudgetExceededError.in_usd(
                self._cost_usd, reserved_usd, need.cost_usd, self._max_cost_usd or 0.0
            )
        tokens = _all_but_one([(call.tokens, call.most_tokens) for call in every])
        usd = _all_but_one([(call.cost_usd, call.most_usd) for call in every])
        if tokens > free_tokens or usd > free_usd:
            return False
        self._in_flight.append(need)
        return True

    def release(self, need: CallNeed) -> None:
        """Give a reservation back, whatever became of the call."""
        self._in_flight.remove(need)
        self._released.set()

    def count(self, record: CallRecord) -> bool:
        """Add a call to the totals, unless it is in them already.

        Returns:
            Whether this is the first time it is made or replayed in this process.
        """
        self.seed(record)
        first = record.call_id not in self._met
        self._met.add(record.call_id)
        self._replayed_calls += first and record.replayed
        return first

    def count_elsewhere(self, usage: Usage, cost_usd: float | None) -> None:
        """Add what is known of calls elsewhere, without knowing the calls; ceilings see it too."""
        self._usage = self._usage + usage
        self._cost_usd += cost_usd or 0.0

    def seed(self, record: CallRecord) -> None:
        """Add a call of an earlier process to the totals, unless it is in them already."""
        if record.call_id in self._counted:
            return
        self._counted.add(record.call_id)
        self._usage = self._usage + record.usage
        self._lost = self._lost + record.lost
        self._longest_answer = max(self._longest_answer, record.usage.output_tokens)
        self._cost_usd += record.cost_usd or 0.0
        if record.cost_usd is None:
            self._unpriced_calls += record.answered
        else:
            self._priced_calls += record.answered


def _short(tokens: int) -> str:
    """Return a number as three or four characters tell it: 812, 41k, 1.2M."""
    if tokens < 1000:
        return str(tokens)
    return f"{tokens / 1e3:.0f}k" if tokens < 999_500 else f"{tokens / 1e6:.1f}M"


def _all_but_one(needs: Sequence[tuple[float, float]]) -> float:
    """Return what calls use at most, where the one that may pass its estimate by most does not."""
    beyond = [max(0.0, most - expected) for expected, most in needs]
    return sum(expected for expected, _ in needs) + sum(beyond) - max(beyond)
