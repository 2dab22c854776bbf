"""How often a model is asked by one process."""

import asyncio
import time

import pytest
from starlette.responses import JSONResponse
from support.model_service import MODEL, QUICK, request, site, stream_of

from grindstone.llm.pace import BucketSize, LocalBucket, Paces, Rates

CALL_TOKENS = 1400


async def asked(service, opened, calls: int, **changes) -> list[float]:
    """Ask all at once; return the seconds after which each request came, the first at 0."""
    came: list[float] = []

    def reply(body):
        came.append(time.monotonic())
        return stream_of(service.content)

    service.reply = service.reply or reply
    async with opened(service.url, **changes) as models:
        model = models.get(MODEL)
        await model.complete(request(), site(0))  # the SDK is loaded by then
        await asyncio.gather(*(model.complete(request(), site(n)) for n in range(1, calls)))
    return [at - came[0] for at in came]


@pytest.mark.slow
async def test_requests_a_minute_are_kept_from_the_first_second(service, opened):
    size = BucketSize.of(600)
    came = await asked(
        service, opened, size.holds + 15, paces=Paces(Rates(requests_per_minute=600))
    )
    for seconds in (0.5, 1.0, 1.5):
        assert sum(at < seconds for at in came) <= size.holds + 1 + seconds * size.per_s
    assert len(came) == size.holds + 15


@pytest.mark.slow
async def test_tokens_a_minute_are_those_the_service_tells(service, opened):
    """A request looks smaller than its answer is: what it used beyond that is taken later."""
    size = BucketSize.of(600_000)
    calls = size.holds // CALL_TOKENS + 15
    paces = Paces(Rates(tokens_per_minute=600_000))
    begun = time.monotonic()
    async with opened(service.url, paces=paces) as models:
        for turn in range(calls):
            await models.get(MODEL).complete(request(), site(turn))
    took_s = time.monotonic() - begun
    assert (calls - 1) * CALL_TOKENS <= size.holds + took_s * size.per_s


@pytest.mark.parametrize("per_minute", [1, 2, 7, 60, 1_000])
def test_no_minute_sees_more_than_was_set(per_minute: int):
    size = BucketSize.of(per_minute)
    assert size.holds >= 1
    assert int(size.holds + 60 * size.per_s) <= per_minute


async def test_more_than_a_bucket_holds_is_taken_in_pieces():
    bucket = LocalBucket("b", BucketSize(10, 100.0))
    begun = time.monotonic()
    await bucket.take(60)
    assert 0.45 < time.monotonic() - begun < 2


@pytest.mark.slow
async def test_a_service_that_asks_to_wait_is_left_alone_by_all_calls(service, opened):
    came: list[float] = []

    def reply(body):
        came.append(time.monotonic())
        if len(came) == 2:
            error = {"type": "error", "error": {"type": "rate_limit_error", "message": "slower"}}
            return JSONResponse(error, 429, {"retry-after": "1"})
        return stream_of(service.content)

    service.reply = reply
    patience = QUICK.model_copy(update={"retry_after_cap_s": 5})
    paces = Paces(Rates(requests_per_minute=6_000))
    async with opened(service.url, patience=patience, paces=paces) as models:
        model = models.get(MODEL)
        await model.complete(request(), site(0))

        async def later(turn: int) -> None:
            await asyncio.sleep(turn / 10)
            await model.complete(request(), site(turn))

        await asyncio.gather(*map(later, range(1, 6)))
    assert len(came) == 7
    assert min(came[2:]) - came[1] >= 0.99
