"""What is spent, and that it ends at the ceiling."""

import asyncio
import json
import random

import pytest
from starlette.responses import StreamingResponse
from support.model_service import MODEL, events_of, request, site

from grindstone.errors import BudgetExceededError, InputError
from grindstone.llm.budget import CallNeed, Spending, SpendMeter
from grindstone.llm.calls import CallRecord
from grindstone.llm.prices import price
from grindstone.llm.providers import Provider
from grindstone.records import Role, Usage, utc_now

CALL_TOKENS = 1400  # what each call of the stand-in service uses
CALL_USD = (1000 * 2 + 200 * 0.1 + 100 * 2.5 + 100 * 10) / 1e6


def test_cached_tokens_have_their_own_price():
    usage = Usage(
        input_tokens=1000, output_tokens=100, cache_read_tokens=200, cache_write_tokens=100
    )
    found = price(usage, MODEL, Provider.ANTHROPIC, at=utc_now())
    assert found.usd == pytest.approx(CALL_USD)
    assert found.source.startswith("genai-prices 0.")


def test_an_unknown_price_is_said_to_be_unknown():
    found = price(Usage(input_tokens=1), "claude-nobody-9", Provider.ANTHROPIC, at=utc_now())
    assert found == (None, "price unknown")
    assert price(Usage(), "rehearsal", Provider.REHEARSAL, at=utc_now()).usd is None


def test_a_rehearsal_may_be_priced_as_a_real_model():
    usage = Usage(input_tokens=1_000_000)
    found = price(usage, "rehearsal", Provider.REHEARSAL, at=utc_now(), price_as=MODEL)
    assert found.usd == pytest.approx(2.0)
    assert found.source.endswith(f"priced as {MODEL}")


async def test_the_run_ends_before_the_ceiling_in_dollars(service, opened):
    async with opened(service.url, spending=Spending(max_cost_usd=10 * CALL_USD)) as models:
        model = models.get(MODEL)
        with pytest.raises(BudgetExceededError, match="max_cost_usd"):
            for turn in range(20):
                await model.complete(request(), site(turn))
        spent = models.spent()
    assert len(service.bodies) == spent.calls
    # An estimate is less than one call here, so the ceiling is passed by less than one.
    assert 9 * CALL_USD <= spent.cost_usd < 11 * CALL_USD


@pytest.mark.slow
async def test_calls_in_flight_count(service, opened):
    service.delay_s = 0.2
    ceiling = 10 * CALL_TOKENS
    async with opened(service.url, spending=Spending(max_tokens_total=ceiling)) as models:
        model = models.get(MODEL)
        await model.complete(request(), site(0))
        calls = [model.complete(request("word " * 600), site(turn)) for turn in range(1, 100)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        spent = models.spent()
    refused = [result for result in results if isinstance(result, BudgetExceededError)]
    assert len(refused) == len(results) - len(service.bodies) + 1
    assert refused
    # The prompts' estimate is near the truth here: all in flight together pass by a little.
    assert 0.7 * ceiling < spent.usage.total_tokens < 1.5 * ceiling


async def test_a_replay_is_free_but_counts_towards_the_ceiling(service, opened):
    async with opened(service.url) as models:
        for turn in range(5):
            await models.get(MODEL).complete(request(), site(turn))
    async with opened(service.url, spending=Spending(max_tokens_total=5 * CALL_TOKENS)) as models:
        model = models.get(MODEL)
        for turn in range(5):
            assert (await model.complete(request(), site(turn))).replayed
        with pytest.raises(BudgetExceededError, match="7,000 tokens are used"):
            await model.complete(request(), site(5))
    assert len(service.bodies) == 5


async def test_a_ceiling_in_dollars_needs_a_known_price(service, opened):
    async with opened(service.url, spending=Spending(max_cost_usd=1.0)) as models:
        with pytest.raises(InputError, match="max_tokens_total"):
            models.get("claude-nobody-9")
        models.get(MODEL)


async def test_calls_of_unknown_price_are_counted_apart(service, opened):
    async with opened(service.url) as models:
        await models.get("claude-nobody-9").complete(request(), site())
        spent = models.spent()
        assert spent.cost_usd is None
        assert spent.unpriced_calls == 1
        await models.get(MODEL).complete(request(), site())
        assert models.spent().cost_usd == pytest.approx(CALL_USD)


def test_a_failed_call_gives_its_reservation_back():
    meter = SpendMeter(Spending(max_tokens_total=100))
    need = CallNeed(100, 0.0, 100, 0.0)
    assert meter.reserve(need)
    meter.release(need)
    assert meter.reserve(need)
    with pytest.raises(BudgetExceededError):
        meter.reserve(CallNeed(1, 0.0, 1, 0.0))


@pytest.mark.parametrize("seed", range(20))
async def test_a_ceiling_is_passed_by_no_more_than_one_call(seed: int):
    """Calls in flight may all turn out as long as they can."""
    chance, ceiling = random.Random(seed), 10_000
    meter = SpendMeter(Spending(max_tokens_total=ceiling))
    used, beyond, refused = 0, 0, 0

    async def call(number: int) -> None:
        nonlocal used, beyond, refused
        most = chance.randrange(100, 3_000)
        need = CallNeed(chance.randrange(1, most), 0.0, most, 0.0)
        try:
            await meter.begin(need)
        except BudgetExceededError:
            refused += 1
            return
        await asyncio.sleep(chance.random() / 100)
        used, beyond = used + most, max(beyond, most - need.tokens)
        meter.count(_paid(f"call-{number}", Usage(output_tokens=most)))
        meter.release(need)

    await asyncio.gather(*(call(number) for number in range(60)))
    assert refused
    assert ceiling / 2 < used <= ceiling + beyond


def _paid(call_id: str, usage: Usage) -> CallRecord:
    return CallRecord(
        call_id=call_id,
        run_key="run",
        role=Role.SOLVER,
        scope="episode",
        turn=0,
        model="m",
        provider="messages",
        usage=usage,
        started_at=utc_now(),
        duration_s=0.0,
    )


async def test_what_a_cancelled_call_used_is_spent(service, opened):
    events = events_of(service.content, "end_turn", 100)

    async def stream():
        for event in events[:3]:
            yield f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
        await asyncio.sleep(20)

    service.reply = lambda body: StreamingResponse(stream(), media_type="text/event-stream")
    async with opened(service.url) as models:
        call = asyncio.create_task(models.get(MODEL).complete(request(), site()))
        while not service.bodies:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        spent = models.spent()
    assert spent.calls == 0
    assert spent.lost.input_tokens == 1000
    assert spent.cost_usd == pytest.approx((1000 * 2 + 200 * 0.1 + 100 * 2.5 + 10) / 1e6)


async def test_calls_of_other_machines_count_from_their_records(service, opened, tmp_path):
    records = []
    async with opened(service.url, on_call=records.append) as models:
        for turn in range(3):
            await models.get(MODEL).complete(request(), site(turn))
    elsewhere = {"journal_dir": tmp_path / "elsewhere", "spent_before": [*records, *records]}
    async with opened(service.url, **elsewhere) as models:
        assert models.spent().calls == 3
        assert models.spent().usage.total_tokens == 3 * CALL_TOKENS
    async with opened(service.url, spent_before=records) as models:
        assert models.spent().calls == 3


async def test_what_other_processes_of_the_run_spend_counts(service, opened):
    ceiling = Spending(max_tokens_total=5 * CALL_TOKENS)
    async with (
        opened(service.url, spending=ceiling) as here,
        opened(service.url, spending=ceiling) as elsewhere,
    ):
        await here.get(MODEL).complete(request(), site(0))
        for turn in range(1, 4):
            await elsewhere.get(MODEL).complete(request(), site(turn))
        with pytest.raises(BudgetExceededError, match="max_tokens_total: 7,000 tokens are used"):
            for turn in range(10, 20):
                await here.get(MODEL).complete(request(), site(turn))
        assert here.spent().calls == len(service.bodies) == 5
