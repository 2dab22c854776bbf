"""One question to a service: try, understand the failure, wait, try again."""

import asyncio
import time
from typing import Any

from grindstone.errors import InfrastructureError, RetryBy
from grindstone.llm.clients import Client
from grindstone.llm.faults import FAILURES, understand
from grindstone.llm.messages import Response
from grindstone.llm.timeouts import Timeouts, pause_before_retry
from grindstone.llm.wire import Accumulator
from grindstone.records import Usage

REHEARSAL_HEADER = "x-grindstone-rehearsal"


class RetriedCall:
    """One request and the tries made for it.

    Attributes:
        tries: How many were made.
        lost: What tries without an answer used, as far as the service told; also known
            when `ask` fails or is cancelled.
        rehearsal: The server called itself a rehearsal, whatever model was asked for.
        duration_s: Of all tries and the pauses between them, once answered.
    """

    def __init__(
        self, client: Client, body: dict[str, Any], *, call_id: str, patience: Timeouts
    ) -> None:
        """Prepare a question.

        Args:
            client: The SDK's client, its own retries off.
            body: The arguments of `messages.create`.
            call_id: Seeds the jitter.
            patience: Time limits and pauses.
        """
        self._client = client
        self._body = body
        self._call_id = call_id
        self._patience = patience
        self.tries = 0
        self.lost = Usage()
        self.rehearsal = False
        self.duration_s = 0.0

    async def ask(self) -> Response:
        """Return the answer, after as many tries as `POLICIES` allows.

        All tries count against the allowance of the latest failure's cause, so a mixture
        of failures ends too.

        Raises:
            InfrastructureError: The last failure, with the number of tries in its detail.
        """
        begun = time.monotonic()
        while True:
            self.tries += 1
            answer = Accumulator()
            try:
                await self._stream(answer)
                response = answer.response()
            except FAILURES as failure:
                self.lost = self.lost + answer.usage
                pause_s = self._pause_or_give_up(failure)
            except asyncio.CancelledError:
                self.lost = self.lost + answer.usage
                raise
            else:
                self.duration_s = time.monotonic() - begun
                return response
            await asyncio.sleep(pause_s)

    async def _stream(self, answer: Accumulator) -> None:
        async with asyncio.timeout(self._patience.answer_s):
            stream = await self._client.messages.create(**self._body, stream=True)
            self.rehearsal = stream.response.headers.get(REHEARSAL_HEADER) == "true"
            try:
                async with stream:
                    async for event in stream:
                        answer.add(event)
            except FAILURES:
                if not answer.complete:
                    raise

    def _pause_or_give_up(self, failure: Exception) -> float:
        fault = understand(failure)
        policy = fault.error.policy
        if policy.retry_by is not RetryBy.CLIENT or self.tries >= policy.tries:
            tries = "1 try" if self.tries == 1 else f"{self.tries} tries"
            detail = f"{fault.error.detail} (after {tries})"
            raise InfrastructureError(fault.error.cause, detail) from failure
        return pause_before_retry(
            self._patience,
            call_id=self._call_id,
            tries=self.tries,
            retry_after_s=fault.retry_after_s,
        )
