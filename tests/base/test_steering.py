"""Orders to a run, what they come to together, and places whose number changes."""

import asyncio
from pathlib import Path

import pytest
from pydantic import ValidationError

from grindstone.errors import BudgetExceededError, InputError
from grindstone.home import Home
from grindstone.llm.budget import Spending
from grindstone.runs.parked import Parked
from grindstone.runs.progress import Note
from grindstone.runs.slots import Slots
from grindstone.runs.steered import Steering, lifted
from grindstone.steering import Order, give_order, orders_of, steer_of


def give(folder, **asked):
    return give_order(folder, Order.model_validate(asked), by="ann@desk", via="cli")


@pytest.fixture
def folder(tmp_path: Path):
    return Home.at(tmp_path).run("k")


def test_the_later_word_stands_and_nothing_is_overwritten(folder):
    give(folder, paused=True, max_workers=4)
    give(folder, max_workers=2, max_cost_usd=float("inf"))
    give(folder, paused=False)
    told = [order.sentence for order in orders_of(folder)]
    assert told == [
        "Order 1 by ann@desk (cli): pause, max_workers 4",
        "Order 2 by ann@desk (cli): max_workers 2, max_cost_usd none",
        "Order 3 by ann@desk (cli): go on",
    ]
    now = steer_of(folder)
    assert (now.last, now.paused, now.max_workers, now.max_cost_usd) == (3, False, 2, float("inf"))
    assert [order.number for order in orders_of(folder, after=1)] == [2, 3]


async def test_of_orders_given_at_once_each_has_a_number(folder):
    many = [asyncio.to_thread(give, folder, max_workers=n) for n in range(1, 21)]
    given = await asyncio.gather(*many)
    assert sorted(order.number for order in given) == list(range(1, 21))
    assert len(orders_of(folder)) == 20


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({}, "asks nothing"),
        ({"cancel": True, "max_workers": 2}, "nothing else with it"),
        ({"max_workers": 0}, "max_workers"),
        ({"max_cost_usd": -1}, "max_cost_usd"),
        ({"max_steps": 5}, "max_steps"),
    ],
)
def test_what_is_no_order_is_refused(asked, why):
    with pytest.raises(ValidationError, match=why):
        Order.model_validate(asked)


async def test_a_file_that_is_no_order_is_told_once_and_costs_nothing(folder):
    notes = []
    steering = Steering(folder, tell=notes.append)
    give(folder, max_workers=2)
    folder.order(2).write_text("{}")
    await steering.look()
    await steering.look()
    [note] = notes
    assert isinstance(note, Note) and str(folder.order(2)) in note.text
    with pytest.raises(InputError, match="is no order to a run"):
        steer_of(folder)


async def test_ceilings_of_the_settings_hold_until_an_order_says_otherwise(folder):
    steering = Steering(folder, spending=Spending(max_cost_usd=1.0, rehearsal_price_as="x"))
    assert (await steering.look()).max_cost_usd == 1.0
    give(folder, max_tokens_total=500)
    both = await steering.look()
    assert (both.max_cost_usd, both.max_tokens_total, both.rehearsal_price_as) == (1.0, 500, "x")
    give(folder, max_cost_usd=float("inf"), max_tokens_total=0)
    none = await steering.look()
    assert (none.max_cost_usd, none.max_tokens_total) == (None, None)


def test_a_ceiling_that_stopped_somebody_is_lifted_once_it_is_higher():
    stop = BudgetExceededError("spent", ceiling="max_tokens_total", limit=10)
    for tokens, usd, now in (
        (10, None, False),
        (5, 9.0, False),
        (11, 1.0, True),
        (None, 1.0, True),
    ):
        assert lifted(stop, Spending(max_tokens_total=tokens, max_cost_usd=usd)) is now
    assert not lifted(BudgetExceededError("it is not told which"), Spending())


async def test_what_is_asked_once_concerns_who_runs_then(folder):
    give(folder, cancel=True)
    give(folder, retry_errors=True)
    resumed = Steering(folder)
    assert not resumed.cancelled and not resumed.take_retry()
    give(folder, retry_errors=True)
    await resumed.look()
    assert resumed.take_retry() and not resumed.take_retry()


async def test_places_are_as_many_as_there_are_to_be_at_the_moment():
    most, inside, tops = 2, 0, []
    slots = Slots(lambda: most)

    async def work(end: asyncio.Event) -> None:
        nonlocal inside
        async with slots:
            inside += 1
            await end.wait()
            inside -= 1

    async def settled() -> int:
        for _ in range(10):
            await asyncio.sleep(0)
        return inside

    ends = [asyncio.Event() for _ in range(6)]
    works = [asyncio.create_task(work(end)) for end in ends]
    tops.append(await settled())
    most = 3
    slots.review()
    tops.append(await settled())
    most = 0  # paused: who is inside goes on
    for end in ends[:2]:
        end.set()
    tops.append(await settled())
    works[3].cancel()  # while it waits
    most = 1
    slots.review()
    tops.append(await settled())
    ends[2].set()
    tops.append(await settled())
    assert tops == [2, 3, 1, 1, 1]
    for end in ends:
        end.set()
    await asyncio.gather(*works, return_exceptions=True)
    assert [work.cancelled() for work in works] == [False, False, False, True, False, False]
    async with asyncio.timeout(1), slots:  # nothing was lost to the one that was called off
        pass


async def test_what_is_parked_waits_as_long_as_others_work(folder):
    steering = Steering(folder)
    parked = Parked(steering)
    parked.begin(2)
    waiting = asyncio.create_task(parked.again(lambda: steering.now.retried > 0))
    give(folder, max_workers=3)
    await steering.look()
    await asyncio.sleep(0.01)
    assert not waiting.done(), "another order is not what it waits for"
    give(folder, retry_errors=True)
    await steering.look()
    assert await waiting
    waiting = asyncio.create_task(parked.again(lambda: False))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    parked.done()
    assert not await waiting
    parked.begin(2)  # what came after all before had ended
    waiting = asyncio.create_task(parked.again(lambda: False))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    parked.done()
    assert not await waiting
