"""Spend of one run and its ceilings: the one owner of both.

Each call reserves an estimate before it starts and settles it when it ends, so calls in
flight count. A call is refused when what was spent, what is reserved and its own estimate
together pass a ceiling. The estimate is the prompt's size plus the longest answer so far
(1,024 tokens before the first), never more than the call may use. So a ceiling is passed
by at most the sum, over the calls in flight, of what each used beyond its estimate: with
one call at a time by no more than one answer that is longer than any before it. Of calls in
flight in other processes of the run nothing is known until they are paid.

Tokens told by tries that brought no answer count too, also those of calls that were given
up or cancelled; these are in no count of calls.
"""

import math
from typing import NamedTuple

from pydantic import PositiveFloat, PositiveInt

from grindstone.base import Frozen
from grindstone.errors import BudgetExceededError
from grindstone.llm.calls import CallRecord
from grindstone.records import Usage

_BYTES_PER_TOKEN = 3.0  # of JSON; English prose has about 4, code about 3
_FIRST_ANSWER_TOKENS = 1024


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


class CallEstimate(NamedTuple):
    """What a call is expected to use."""

    tokens: int
    cost_usd: float


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
        self._reserved_tokens = 0
        self._reserved_usd = 0.0
        self._longest_answer = 0

    def cap(self, ceilings: Spending) -> None:
        """Have other ceilings from now on; calls in flight are let be."""
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

    def expected_usage(self, prompt_bytes: int, *, max_tokens: int | None = None) -> Usage:
        """Return a guess of what a request will use.

        Args:
            prompt_bytes: Its size as JSON.
            max_tokens: What it may use for the answer.
        """
        prompt = int(prompt_bytes / _BYTES_PER_TOKEN)
        answer = self._longest_answer or _FIRST_ANSWER_TOKENS
        answer = answer if max_tokens is None else min(max_tokens, answer)
        return Usage(input_tokens=prompt, output_tokens=answer)

    def reserve(self, tokens: int, cost_usd: float) -> CallEstimate:
        """Set aside what a call is expected to use; give it back with `release`.

        Raises:
            BudgetExceededError: It does not fit under a ceiling any more.
        """
        used = self._usage.total_tokens + self._lost.total_tokens
        ceiling = self._max_tokens_total
        if ceiling is not None and used + self._reserved_tokens + tokens > ceiling:
            raise BudgetExceededError(
                f"max_tokens_total: {used:,} tokens are used, {self._reserved_tokens:,} reserved "
                f"by calls in flight and the next call needs about {tokens:,}; "
                f"the ceiling is {ceiling:,}"
            )
        limit = self._max_cost_usd
        if limit is not None and self._cost_usd + self._reserved_usd + cost_usd > limit:
            raise BudgetExceededError(
                f"max_cost_usd: {self._cost_usd:.4f} USD are spent, {self._reserved_usd:.4f} "
                f"reserved by calls in flight and the next call costs about {cost_usd:.4f}; "
                f"the ceiling is {limit:.4f}"
            )
        self._reserved_tokens += tokens
        self._reserved_usd += cost_usd
        return CallEstimate(tokens, cost_usd)

    def release(self, estimate: CallEstimate) -> None:
        """Give a reservation back, whatever became of the call."""
        self._reserved_tokens -= estimate.tokens
        self._reserved_usd -= estimate.cost_usd

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
