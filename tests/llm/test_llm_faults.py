"""Every way the wire can fail: what it is called, how often it is tried again, how long."""

import asyncio
import pickle
import time

import pytest
from starlette.responses import JSONResponse, Response
from support.model_service import MODEL, QUICK, request, site
from support.wire_faults import WireFault, WireFaults

from grindstone.errors import POLICIES, BudgetExceededError, Cause, InfrastructureError
from grindstone.llm.budget import Spending
from grindstone.llm.timeouts import Timeouts, pause_before_retry
from grindstone.records import Usage

FAULTS = [
    pytest.param(fault, marks=[pytest.mark.slow] if fault is WireFault.STALL else [])
    for fault in WireFault
]
CAUSES = {
    WireFault.RATE_LIMITED: Cause.RATE_LIMITED,
    WireFault.OVERLOADED: Cause.OVERLOADED,
    WireFault.SERVER_ERROR: Cause.MODEL_SERVER,
    WireFault.DROPPED: Cause.MODEL_CONNECTION,
    WireFault.CUT: Cause.MODEL_CONNECTION,
    WireFault.ENDED_EARLY: Cause.MODEL_TRUNCATED,
    WireFault.ERROR_EVENT: Cause.OVERLOADED,
    WireFault.GARBAGE: Cause.MODEL_SERVER,
    WireFault.STALL: Cause.MODEL_CONNECTION,
}
BRISK = QUICK.model_copy(update={"stall_s": 1.0})


def test_every_fault_has_a_cause():
    assert set(CAUSES) == set(WireFault)


@pytest.mark.parametrize("fault", FAULTS)
async def test_tries_are_the_policys(service, opened, fault):
    cause = CAUSES[fault]
    with WireFaults(service.url, script=[fault] * 20) as proxy:
        async with opened(proxy.url, patience=BRISK) as models:
            with pytest.raises(InfrastructureError) as caught:
                await models.get(MODEL).complete(request(), site())
            spent = models.spent()
    assert caught.value.cause is cause
    assert len(proxy.seen) == POLICIES[cause].tries
    assert spent.calls == 0
    assert f"after {POLICIES[cause].tries} tries" in caught.value.detail
    assert pickle.loads(pickle.dumps(caught.value)).cause is cause


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_try_after_a_fault_is_used(service, opened, fault):
    records = []
    with WireFaults(service.url, script=[fault]) as proxy:
        async with opened(proxy.url, patience=BRISK, on_call=records.append) as models:
            response = await models.get(MODEL).complete(request(), site())
    assert response.text == "hello"
    assert len(proxy.seen) == 2
    assert records[0].tries == 2
    assert records[0].usage == proxy.delivered_usage


async def test_tokens_of_a_broken_answer_are_told_apart_and_paid(service, opened):
    records = []
    with WireFaults(service.url, script=[WireFault.ENDED_EARLY]) as proxy:
        async with opened(proxy.url, on_call=records.append) as models:
            await models.get(MODEL).complete(request(), site())
            spent = models.spent()
    record = records[0]
    told = Usage(input_tokens=1000, output_tokens=1, cache_read_tokens=200, cache_write_tokens=100)
    assert record.lost == spent.lost == told
    assert spent.usage == proxy.delivered_usage
    prompt = 1000 * 2 + 200 * 0.1 + 100 * 2.5
    assert record.cost_usd == pytest.approx((2 * prompt + 101 * 10) / 1e6)


async def test_tokens_of_a_call_that_is_given_up_are_booked_and_count_when_resumed(service, opened):
    script = [WireFault.ENDED_EARLY] * 4 + [WireFault.CUT, None]
    records = []
    with WireFaults(service.url, script=script) as proxy:
        async with opened(proxy.url, on_call=records.append) as models:
            with pytest.raises(InfrastructureError):
                await models.get(MODEL).complete(request(), site())
            assert models.spent().lost == proxy.told_usage
        told = proxy.told_usage
        [given_up] = records
        assert (given_up.lost, given_up.usage, given_up.tries) == (told, Usage(), 4)
        assert not given_up.answered
        assert (given_up.role, given_up.scope, given_up.task_id) == tuple(
            getattr(site(), name) for name in ("role", "scope", "task_id")
        )
        async with opened(
            proxy.url, spending=Spending(max_tokens_total=told.total_tokens)
        ) as models:
            with pytest.raises(BudgetExceededError):
                await models.get(MODEL).complete(request(), site())
        async with opened(proxy.url, on_call=records.append) as models:
            await models.get(MODEL).complete(request(), site())
            spent = models.spent()
    assert (spent.calls, spent.usage) == (1, proxy.delivered_usage)
    assert spent.usage + spent.lost == proxy.told_usage
    assert sum((r.usage + r.lost for r in records), start=Usage()) == proxy.told_usage
    assert spent.cost_usd == pytest.approx(sum(r.cost_usd for r in records))


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
async def test_a_refused_request_is_not_repeated(service, opened, status):
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": "no: x"}}
    service.reply = lambda body: JSONResponse(error, status)
    async with opened(service.url) as models:
        with pytest.raises(InfrastructureError, match="no: x") as caught:
            await models.get(MODEL).complete(request(), site())
    assert caught.value.cause is Cause.MODEL_REJECTED
    assert len(service.bodies) == 1


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (408, Cause.MODEL_CONNECTION),
        (409, Cause.MODEL_SERVER),
        (500, Cause.MODEL_SERVER),
        (502, Cause.MODEL_SERVER),
        (503, Cause.MODEL_SERVER),
        (504, Cause.MODEL_SERVER),
    ],
)
async def test_a_gateways_page_is_understood_by_its_status(service, opened, status, cause):
    service.reply = lambda body: Response("<html>timeout rate limit overloaded</html>", status)
    async with opened(service.url) as models:
        with pytest.raises(InfrastructureError) as caught:
            await models.get(MODEL).complete(request(), site())
    assert caught.value.cause is cause
    assert len(service.bodies) == POLICIES[cause].tries


async def test_nobody_there(opened):
    async with opened("http://127.0.0.1:9") as models:
        with pytest.raises(InfrastructureError) as caught:
            await models.get(MODEL).complete(request(), site())
    assert caught.value.cause is Cause.MODEL_CONNECTION


async def test_a_mixture_of_faults_ends(service, opened):
    script = [WireFault.RATE_LIMITED, WireFault.OVERLOADED, WireFault.SERVER_ERROR]
    with WireFaults(service.url, script=[*script, *script, *script]) as proxy:
        async with opened(proxy.url) as models:
            with pytest.raises(InfrastructureError) as caught:
                await models.get(MODEL).complete(request(), site())
    assert caught.value.cause is Cause.MODEL_SERVER
    # The third is a server error (4 tries allowed), the fourth a 429 (6), the sixth the last.
    assert len(proxy.seen) == 6


async def test_retry_after_is_obeyed_up_to_the_cap(service, opened):
    patience = QUICK.model_copy(update={"retry_after_cap_s": 0.4})
    with WireFaults(service.url, script=[WireFault.RATE_LIMITED]) as proxy:  # asks for an hour
        async with opened(proxy.url, patience=patience) as models:
            begun = time.monotonic()
            await models.get(MODEL).complete(request(), site())
            took = time.monotonic() - begun
    assert 0.4 <= took < 10


@pytest.mark.slow
async def test_a_stall_is_bounded(service, opened):
    with WireFaults(service.url, script=[WireFault.STALL], stall_s=30) as proxy:
        async with opened(proxy.url, patience=BRISK) as models:
            begun = time.monotonic()
            assert (await models.get(MODEL).complete(request(), site())).text == "hello"
            assert time.monotonic() - begun < 15


@pytest.mark.slow
async def test_a_service_that_only_trickles_is_bounded(service, opened):
    service.delay_s = 1.5
    patience = QUICK.model_copy(update={"answer_s": 0.2})
    async with opened(service.url, patience=patience) as models:
        with pytest.raises(InfrastructureError) as caught:
            await models.get(MODEL).complete(request(), site())
    assert caught.value.cause is Cause.MODEL_CONNECTION


@pytest.mark.slow
async def test_under_many_faults_every_answer_arrives_once(service, opened):
    faults = set(WireFault) - {WireFault.STALL}  # on a busy machine a late answer is one too
    with WireFaults(service.url, seed=3, rate=0.4, faults=sorted(faults)) as proxy:
        async with opened(proxy.url) as models:
            model = models.get(MODEL)
            answers = await asyncio.gather(
                *(model.complete(request(f"q{i}"), site(i)) for i in range(30))
            )
            spent = models.spent()
    assert [answer.text for answer in answers] == ["hello"] * 30
    assert sum(proxy.faults.values()) > 5
    assert sorted(proxy.delivered.values()) == [1] * 30
    assert spent.usage == proxy.delivered_usage
    assert spent.calls == 30


def test_pauses_double_and_repeat_exactly_and_keep_their_caps():
    patience = Timeouts(pause_s=1, pause_cap_s=8, retry_after_cap_s=30)
    pauses = [
        pause_before_retry(patience, call_id="c", tries=n, retry_after_s=None) for n in range(1, 7)
    ]
    again = [
        pause_before_retry(patience, call_id="c", tries=n, retry_after_s=None) for n in range(1, 7)
    ]
    other = pause_before_retry(patience, call_id="d", tries=1, retry_after_s=None)
    assert pauses == again
    assert other != pauses[0]
    for pause, whole in zip(pauses, [1, 2, 4, 8, 8, 8], strict=True):
        assert whole / 2 <= pause <= whole
    told = pause_before_retry(patience, call_id="c", tries=1, retry_after_s=10)
    assert 10 <= told <= 11
    assert pause_before_retry(patience, call_id="c", tries=1, retry_after_s=3600) == 30
