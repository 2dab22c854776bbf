"""The fault proxy itself: it must be repeatable, and its counts must be right."""

import httpx2
import pytest
from support.model_service import USAGE, serving
from support.wire_faults import FORWARDING, WireFault, WireFaults

BODY = {"model": "m", "stream": True}


async def post(url: str, number: int) -> str:
    async with httpx2.AsyncClient(trust_env=False, timeout=5) as client:
        try:
            answer = await client.post(f"{url}/v1/messages", json=BODY | {"n": number})
        except httpx2.HTTPError as error:
            return type(error).__name__
        return str(answer.status_code)


@pytest.mark.slow
async def test_the_same_seed_spoils_the_same_requests_in_any_order():
    async def outcome(url: str, order: list[int]) -> dict[int, WireFault | None]:
        faults = [fault for fault in WireFault if fault is not WireFault.STALL]
        with WireFaults(url, seed=5, rate=0.5, faults=faults) as proxy:
            for number in order:
                await post(proxy.url, number)
        return {int(seen.body["n"]): seen.fault for seen in proxy.seen}

    async with serving() as service:
        one = await outcome(service.url, list(range(20)))
        other = await outcome(service.url, list(reversed(range(20))))
    assert one == other
    assert 3 < sum(fault is not None for fault in one.values()) < 17


async def test_a_request_gets_through_in_the_end():
    async with serving() as service:
        with WireFaults(service.url, rate=1.0, faults=[WireFault.OVERLOADED]) as proxy:
            assert [await post(proxy.url, 1) for _ in range(3)] == ["529", "529", "200"]
        assert len(service.bodies) == 1


@pytest.mark.slow
@pytest.mark.parametrize("fault", [fault for fault in WireFault if fault is not WireFault.STALL])
async def test_what_was_forwarded_is_what_the_server_saw(fault):
    async with serving() as service:
        with WireFaults(service.url, script=[fault, None]) as proxy:
            await post(proxy.url, 1)
            await post(proxy.url, 1)
        seen = len(service.bodies)
    assert seen == (2 if fault in FORWARDING else 1)
    assert sum(request.forwarded for request in proxy.seen) == seen
    assert proxy.faults == {fault: 1}
    assert proxy.delivered_usage.input_tokens == USAGE["input_tokens"]
    assert proxy.delivered_usage.output_tokens == service.output_tokens
    assert proxy.forwarded_usage.input_tokens == seen * USAGE["input_tokens"]
    assert list(proxy.delivered.values()) == [1]
