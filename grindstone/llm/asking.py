"""One question to a service: try, understand the failure, wait, try again."""

import asyncio
from typing import Any, NamedTuple

from grindstone.errors import Cause, InfrastructureError, RetryBy
from grindstone.llm.clients import Client
from grindstone.llm.faults import FAILURES, understand
from grindstone.llm.messages import Response
from grindstone.llm.patience import Patience, pause_before_retry
from grindstone.llm.wire import Accumulator
from grindstone.records import Usage


class Answer(NamedTuple):
    """What came of a question."""

    response: Response
    tries: int
    lost: Usage


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
    lost = Usage()
    tries = 0
    while True:
        tries += 1
        answer = Accumulator()
        try:
            await _stream(client, body, answer, patience)
            return Answer(answer.response(), tries, lost)
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
) -> None:
    async with asyncio.timeout(patience.answer_s):
        stream = await client.messages.create(**body, stream=True)
        async with stream:
            async for event in stream:
                answer.add(event)
