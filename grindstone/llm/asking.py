"""One inquiry to a service: try, understand the failure, wait, try again."""

import asyncio
import time
from typing import Any, Protocol

from grindstone.errors import Cause, InfrastructureError, RetryBy
from grindstone.llm.faults import FAILURES, understand
from grindstone.llm.messages import Response
from grindstone.llm.pace import Pace
from grindstone.llm.timeouts import Timeouts, pause_before_retry
from grindstone.records import Usage

REHEARSAL_HEADER = "x-grindstone-rehearsal"


class StreamedAnswer(Protocol):
    """Adds up the events of one streamed answer."""

    @property
    def usage(self) -> Usage:
        """What the service has told so far, also when the stream then breaks off."""
        ...

    @property
    def complete(self) -> bool:
        """Whether the service said why the answer ended; nothing follows but the goodbye."""
        ...

    def add(self, event: Any) -> None:
        """Take the next event.

        Raises:
            InfrastructureError: MODEL_SERVER, when it is not what the protocol allows.
        """
        ...

    def response(self) -> Response:
        """Return the whole answer.

        Raises:
            InfrastructureError: MODEL_TRUNCATED, MODEL_SERVER: it is none.
        """
        ...


class Inquiry(Protocol):
    """One request, and the way it is put to its service."""

    rehearsal: bool
    """The server called itself a rehearsal, whatever model was asked for."""

    def begin(self) -> StreamedAnswer:
        """Return an answer that nothing was added to yet."""
        ...

    async def stream(self, answer: StreamedAnswer) -> None:
        """Ask once, adding each event that comes to the answer.

        Raises:
            Exception: One of `FAILURES`.
        """
        ...


class RetriedCall:
    """One inquiry and the tries made for it.

    Attributes:
        tries: How many were made.
        lost: What tries without an answer used, as far as the service told; also known
            when `ask` fails or is cancelled.
        duration_s: Of all tries and the pauses between them, once answered.
    """

    def __init__(
        self,
        inquiry: Inquiry,
        *,
        call_id: str,
        patience: Timeouts,
        pace: Pace | None = None,
        expected_tokens: int = 0,
    ) -> None:
        """Prepare a call.

        Args:
            inquiry: Retries of its own are off.
            call_id: Seeds the jitter.
            patience: Time limits and pauses.
            pace: Each try waits for it; None: there is none to keep.
            expected_tokens: That a try will use, about.
        """
        self._pace, self._expected_tokens = pace, expected_tokens
        self._inquiry = inquiry
        self._call_id = call_id
        self._patience = patience
        self.tries = 0
        self.lost = Usage()
        self.duration_s = 0.0

    @property
    def rehearsal(self) -> bool:
        """Whether the server called itself a rehearsal."""
        return self._inquiry.rehearsal

    async def ask(self) -> Response:
        """Return the answer, after as many tries as `POLICIES` allows.

        All tries count against the allowance of the latest failure's cause, so a mixture
        of failures ends too.

        Raises:
            InfrastructureError: The last failure, with the number of tries in its detail.
        """
        begun = time.monotonic()
        while True:
            if self._pace is not None:
                await self._pace.admit(self._expected_tokens)
            self.tries += 1
            answer = self._inquiry.begin()
            try:
                await self._try(answer)
                response = answer.response()
            except FAILURES as failure:
                self.lost = self.lost + answer.usage
                pause_s = await self._pause_or_give_up(failure)
            except asyncio.CancelledError:
                self.lost = self.lost + answer.usage
                raise
            else:
                self.duration_s = time.monotonic() - begun
                return response
            await asyncio.sleep(pause_s)

    async def _try(self, answer: StreamedAnswer) -> None:
        try:
            async with asyncio.timeout(self._patience.answer_s):
                await self._inquiry.stream(answer)
        except FAILURES:
            if not answer.complete:
                raise
        finally:
            if self._pace is not None:
                self._pace.used(answer.usage.total_tokens, expected=self._expected_tokens)

    async def _pause_or_give_up(self, failure: Exception) -> float:
        fault = understand(failure)
        policy = fault.error.policy
        if policy.retry_by is not RetryBy.CLIENT or self.tries >= policy.tries:
            tries = "1 try" if self.tries == 1 else f"{self.tries} tries"
            detail = f"{fault.error.detail} (after {tries})"
            raise InfrastructureError(fault.error.cause, detail) from failure
        pause_s = pause_before_retry(
            self._patience,
            call_id=self._call_id,
            tries=self.tries,
            retry_after_s=fault.retry_after_s,
        )
        if self._pace is not None and fault.error.cause is Cause.RATE_LIMITED:
            await self._pace.hold(pause_s)
        return pause_s
