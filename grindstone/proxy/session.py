"""One attempt's way to its model: a token, ceilings, and what was said through it."""

import asyncio
import contextlib
import hmac
import secrets
from collections import Counter, defaultdict
from collections.abc import Coroutine
from typing import Any, NamedTuple, TypeVar

from pydantic import PositiveInt

from grindstone.base import Frozen
from grindstone.errors import BudgetExceededError, GrindstoneError, InfrastructureError
from grindstone.llm.messages import CallSite
from grindstone.llm.paying import PaidCalls
from grindstone.llm.service import Service
from grindstone.proxy.api import FirstWords, Heard, Said
from grindstone.records import Role, StopReason, Usage

T = TypeVar("T")

LONGEST_RESULT = 200_000
"""Characters that are kept of what a tool gave."""


COUNTS_PER_CALL = 4
"""How often the service counts a prompt's tokens for a program, for each call it may make."""

HANDED_OVER_S = 5.0
"""How long an answer may take to go in, where the very same request waits behind it."""

LAST_ANSWERS_S = 20.0
"""What is being answered when a program has ended is waited for: it is paid for."""


class CallLimits(Frozen):
    """When an attempt's model stops answering."""

    max_calls: PositiveInt = 100
    max_tokens: PositiveInt | None = None


class Exchange(NamedTuple):
    """One answer, whoever paid for it when."""

    said: Said
    usage: Usage
    stop_reason: str
    replayed: bool


class SessionEnded(Exception):  # noqa: N818 - told to the program inside
    """No more is answered; carries the kind of error that its API knows."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Session:
    """What one attempt may ask of one model, and what it asked; belongs to one event loop.

    Attributes:
        token: What opens it: for this attempt and this model alone, and until it ends.
        exchanges: The answers, in the order in which they were given.
        heard: What tools gave, by the id of the call, as the program told the model.
        opening: What the first conversation began with.
        failure: What ended it that is not the agent's doing.
        limit: Which limit of the attempt ended it.
        over: Set when nothing more is answered.
        reading: Bytes of requests that are being read.
    """

    def __init__(
        self,
        calls: PaidCalls,
        service: Service,
        *,
        scope: str,
        task_id: str,
        limits: CallLimits,
        role: Role = Role.SOLVER,
    ) -> None:
        self.calls = calls
        self.service = service
        self.limits = limits
        self.token = f"attempt-{secrets.token_urlsafe(24)}"
        self.exchanges: list[Exchange] = []
        self.heard: dict[str, Heard] = {}
        self.opening: FirstWords | None = None
        self.failure: GrindstoneError | None = None
        self.limit: StopReason | None = None
        self.over = asyncio.Event()
        self._role = role
        self._scope = scope
        self._task_id = task_id
        self.reading = 0
        self._asked = 0
        self._counted = 0
        self._usage = Usage()
        self._received: Counter[str] = Counter()
        self._busy: set[asyncio.Task[Any]] = set()
        self._turn = asyncio.Lock()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._going_in: dict[str, asyncio.Event] = {}

    @property
    def model(self) -> str:
        """What the model is called inside."""
        return self.service.model

    def opens(self, token: str) -> bool:
        """Whether a token is this session's."""
        return hmac.compare_digest(token.encode(), self.token.encode())

    def require_open(self) -> None:
        """Make sure that more is answered.

        Raises:
            SessionEnded: It is not.
        """
        if self.failure is not None:
            kind = "billing_error" if isinstance(self.failure, BudgetExceededError) else "api_error"
            raise SessionEnded(kind, str(self.failure))
        if self.limit is not None or self.over.is_set():
            reached = self.limit.value if self.limit is not None else "its end"
            raise SessionEnded("billing_error", f"the attempt has reached {reached}")

    def begin_call(self) -> CallSite:
        """Count a call that is about to be answered.

        Raises:
            SessionEnded: A limit of the attempt is reached.
        """
        self.require_open()
        tokens = self.limits.max_tokens
        if self._asked >= self.limits.max_calls:
            self.limit = StopReason.STEP_LIMIT
        elif tokens is not None and self._usage.total_tokens >= tokens:
            self.limit = StopReason.TOKEN_LIMIT
        if self.limit is not None:
            self.over.set()
            self.require_open()
        self._asked += 1
        return CallSite(
            role=self._role, scope=self._scope, turn=self._asked - 1, task_id=self._task_id
        )

    def may_count(self) -> bool:
        """Whether the service is asked once more how long a prompt is; it has limits of its own."""
        self._counted += 1
        return self._counted <= COUNTS_PER_CALL * self.limits.max_calls

    def answered(self, exchange: Exchange) -> None:
        """Keep an answer."""
        self.exchanges.append(exchange)
        self._usage = self._usage + exchange.usage

    def hear(self, heard: Heard) -> None:
        """Keep what a tool gave, as it was told first."""
        if heard.call_id not in self.heard:
            content = heard.content[:LONGEST_RESULT].encode("utf-8", "replace").decode()
            self.heard[heard.call_id] = heard._replace(content=content)

    def fail(self, failure: InfrastructureError | BudgetExceededError) -> None:
        """End it: the attempt cannot go on, which is not the agent's doing."""
        self.failure = self.failure or failure
        self.over.set()

    def one_at_a_time(self, settled: str) -> asyncio.Lock:
        """Return the lock of a request: the very same one waits for its answer.

        It may have that answer where who asked first hung up, and asks anew where it was received.
        """
        return self._locks[settled]

    async def handed_over(self, settled: str) -> None:
        """Wait until the last answer to a request was received, or whoever asked for it is gone."""
        if (going := self._going_in.get(settled)) is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(going.wait(), HANDED_OVER_S)

    def goes_in(self, settled: str, handed_over: asyncio.Event) -> None:
        """Note that an answer is about to go in; the event is set once it did, or cannot."""
        self._going_in[settled] = handed_over

    def in_turn(self) -> contextlib.AbstractAsyncContextManager[object]:
        """Return what makes calls wait for one another, where their tokens are limited."""
        return self._turn if self.limits.max_tokens is not None else contextlib.nullcontext()

    def occurrence(self, settled: str) -> int:
        """Return how many answers to a request were received whole."""
        return self._received[settled]

    def hold(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Do a piece of work that a program's hanging up does not call off."""
        task = asyncio.create_task(work)
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)
        return task

    async def drop(self, *, patience_s: float = LAST_ANSWERS_S) -> None:
        """Wait for what is still being answered, and call off what is not by then."""
        if self._busy:
            await asyncio.wait(self._busy, timeout=patience_s)
        for task in self._busy:
            task.cancel()
        await asyncio.gather(*self._busy, return_exceptions=True)

    def received(self, settled: str) -> None:
        """Count an answer that went in whole."""
        self._received[settled] += 1
