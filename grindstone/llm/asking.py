"""One question to a service: try, understand the failure, wait, try again."""

import asyncio
import time
from typing import Any, NamedTuple

from grindstone.errors import Cause, InfrastructureError, RetryBy
from grindstone.llm.clients import Client
from grindstone.llm.faults import FAILURES, understand
from grindstone.llm.messages import Response
from grindstone.llm.patience import Patience, pause_before_retry
from grindstone.llm.wire import Accumulator
from grindstone.records import Usage

REHEARSAL_HEADER = "x-grindstone-rehearsal"


class Answer(NamedTuple):
    """What came of a question."""

    response: Response
    tries: int
    lost: Usage
    duration_s: float
    """Of all tries and the pauses between them."""
    rehearsal: bool
    """The server called itself a rehearsal, whatever model id was asked for."""


class AskingFailedError(InfrastructureError):
    """No try brought an answer.

    Attributes:
        lost: What the tries used, as far as the service told.
    """

    def __init__(self, cause: Cause, detail: str, lost: Usage | None = None) -> None:
        super().__init__(cause, detail)
        self.lost = lost or Usage()


async def ask(client: Client, body: dict[str, Any], *, call_id: str, patience: Patience) -> Answer:
    """Return the answer to one request, after as many tries as `POLICIES` allows.

    All tries count against the allowance of the latest failure's cause, so a mixture of
    failures ends too.

    Args:
        client: The SDK's client, its own retries off.
        body: The arguments of `messages.create`.
        call_id: Seeds the jitter.
        patience: Time limits and pauses.

    Raises:
        AskingFailedError: The last failure, with the number of tries in its detail.
    """
    begun = time.monotonic()
    lost = Usage()
    tries = 0
    while True:
        tries += 1
        answer = Accumulator()
        try:
            rehearsal = await _stream(client, body, answer, patience)
            response = answer.response()
            return Answer(response, tries, lost, time.monotonic() - begun, rehearsal)
        except FAILURES as failure:
            fault = understand(failure)
            lost = lost + answer.usage
            policy = fault.error.policy
            if policy.retry_by is not RetryBy.CLIENT or tries >= policy.tries:
                detail = f"{fault.error.detail} (after {tries} {'try' if tries == 1 else 'tries'})"
                raise AskingFailedError(fault.error.cause, detail, lost) from failure
        await asyncio.sleep(
            pause_before_retry(
                patience, call_id=call_id, tries=tries, retry_after_s=fault.retry_after_s
            )
        )


async def _stream(
    client: Client, body: dict[str, Any], answer: Accumulator, patience: Patience
) -> bool:
    """Add one try's events up; return whether a rehearsal server sent them."""
    async with asyncio.timeout(patience.answer_s):
        stream = await client.messages.create(**body, stream=True)
        rehearsal: bool = stream.response.headers.get(REHEARSAL_HEADER) == "true"
        try:
            async with stream:
                async for event in stream:
                    answer.add(event)
        except FAILURES:
            if not answer.complete:
                raise
        return rehearsal
