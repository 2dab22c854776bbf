"""The account of a run's ceilings, removed or damaged by a person or a rule of the bucket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from grindstone.errors import BudgetExceededError
from grindstone.home import Home
from grindstone.llm.budget import CallNeed, Spending
from grindstone.runs import lease
from grindstone.runs.shared_budget import SharedBudget

pytestmark = [pytest.mark.slow, pytest.mark.catalogue(of="what workers share")]

LIMIT = 1000


@pytest.fixture(params=["folder", "storage"])
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setattr(lease, "BEAT_S", 0.2)
    monkeypatch.setattr(lease, "LOST_S", 2.0)
    if request.param == "folder":
        return Home.at(tmp_path / "home")
    return Home.at(request.getfixturevalue("address"))


def removed(home: Home) -> None:
    path = home.run("K").account
    if home.mirror is None:
        path.unlink()
    else:
        home.mirror.store.delete(home.mirror.name_of(path))


def damaged(home: Home) -> None:
    path = home.run("K").account
    if home.mirror is None:
        path.write_bytes(b"{")
    else:
        home.mirror.store.put(home.mirror.name_of(path), b"\xff{")


class Spender:
    """A process's share, of which calls take parts that are never given back."""

    def __init__(self, home: Home) -> None:
        self.budget = SharedBudget(home.run("K"))
        self.taken = 0

    async def take(self, tokens: int) -> None:
        async def ceilings() -> Spending:
            return Spending(max_tokens_total=LIMIT)

        need = CallNeed(tokens=tokens, cost_usd=0.0, most_tokens=tokens, most_usd=0.0)
        await self.budget.begin(need, ceilings)
        self.taken += tokens

    async def take_all(self, tokens: int, patience_s: float) -> None:
        """Take parts until there is none, or none comes."""
        with contextlib.suppress(BudgetExceededError, TimeoutError):
            async with asyncio.timeout(patience_s):
                while True:
                    await self.take(tokens)


@contextlib.asynccontextmanager
async def two(home: Home) -> AsyncIterator[tuple[Spender, Spender]]:
    one, other = Spender(home), Spender(home)
    try:
        yield one, other
    finally:
        await one.budget.close()
        await other.budget.close()


@pytest.mark.parametrize(
    ("harm", "newcomer"),
    [(removed, True), (damaged, False)],
    ids=["removed, met by a newcomer", "damaged, met by one who has a share"],
)
async def test_the_ceiling_holds_when_the_account_is_lost(
    home: Home, harm: Callable[[Home], None], newcomer: bool
):
    async with two(home) as (one, other):
        await one.take(10)  # and is granted more than that, for calls to come
        if not newcomer:
            await other.take(10)
        await asyncio.sleep(0.6)  # its sign of life is there
        await asyncio.to_thread(harm, home)
        await other.take_all(25, patience_s=0.5)
        await one.take_all(25, patience_s=0.5)
        assert one.taken + other.taken <= LIMIT
        rest = asyncio.gather(one.take_all(100, 20), other.take_all(100, 20))
        async with asyncio.timeout(20):
            while one.taken + other.taken <= LIMIT - 100:
                await asyncio.sleep(0.05)
        rest.cancel()
        assert one.taken + other.taken <= LIMIT, "and what is left is spent"


async def test_who_leaves_a_lost_account_takes_nothing_of_others_along(home: Home):
    async with two(home) as (one, other):
        await one.take(10)
        leaving = Spender(home)
        await leaving.take(10)
        await asyncio.sleep(0.6)
        await asyncio.to_thread(removed, home)
        await leaving.budget.close()
        await other.take_all(25, patience_s=0.5)
        await one.take_all(25, patience_s=0.5)
        assert one.taken + other.taken <= LIMIT


async def test_an_account_that_was_never_there_is_begun_at_once(home: Home):
    async with asyncio.timeout(2), two(home) as (one, _):
        await one.take(10)
