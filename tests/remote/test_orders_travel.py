"""Orders to a run whose machines share a remote home and nothing else."""

import asyncio
from pathlib import Path

import pytest

from grindstone.home import Home, RunFolder
from grindstone.runs.steered import Steering
from grindstone.steering import Order, give_order, orders_of

pytestmark = pytest.mark.slow


@pytest.fixture
def machines(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[RunFolder, RunFolder]:
    """The run's folder on two machines."""
    found = []
    for name in ("one", "two"):
        monkeypatch.setenv("GRINDSTONE_CACHE_DIR", str(tmp_path / name))
        found.append(Home.at(address).run("k"))
    assert found[0].root != found[1].root
    return found[0], found[1]


async def test_an_order_given_on_one_machine_is_read_on_another(
    machines: tuple[RunFolder, RunFolder],
):
    here, there = machines
    steering = await asyncio.to_thread(Steering, there)
    for asked in (Order(paused=True), Order(max_workers=3)):
        await asyncio.to_thread(give_order, here, asked, by="ann@here", via="cli")
    await steering.look()
    assert (steering.now.paused, steering.max_workers, steering.now.last) == (True, 3, 2)


async def test_of_orders_given_on_both_at_once_none_is_lost(
    machines: tuple[RunFolder, RunFolder],
):
    given = await asyncio.gather(
        *(
            asyncio.to_thread(give_order, folder, Order(max_workers=n), by="ann", via="cli")
            for n in range(1, 6)
            for folder in machines
        )
    )
    assert sorted(order.number for order in given) == list(range(1, 11))
    seen = [await asyncio.to_thread(orders_of, folder) for folder in machines]
    assert seen[0] == seen[1] and len(seen[0]) == 10
