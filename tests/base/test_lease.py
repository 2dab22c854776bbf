"""Signs of life, and who is given up stops."""

import asyncio
from pathlib import Path

import pytest

from grindstone.runs import lease
from grindstone.runs.lease import Pulse, beating, clear


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lease, "BEAT_S", 0.02)


@pytest.mark.slow
async def test_what_lives_is_never_silent_for_long(tmp_path: Path):
    path = tmp_path / "slices" / "one"
    pulse = Pulse(path)
    async with beating(path):
        for _ in range(20):
            await asyncio.sleep(0.05)
            assert pulse.silent_s() < 0.5
    assert not path.exists()
    await asyncio.sleep(0.6)
    assert pulse.silent_s() > 0.5
    pulse.renew()
    assert pulse.silent_s() < 0.5


async def test_what_was_given_up_is_cancelled_while_it_lives(tmp_path: Path):
    path, ended = tmp_path / "slices" / "one", []

    async def work():
        try:
            async with beating(path):
                await asyncio.sleep(30)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    working = asyncio.create_task(work())
    await asyncio.sleep(0.1)
    Pulse(path).give_up()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(working, 10)
    assert ended == ["cancelled"]


async def test_what_finds_its_sign_cleared_away_stops_and_leaves_none(tmp_path: Path):
    path = tmp_path / "slices" / "one"

    async def work():
        async with beating(path):
            await asyncio.sleep(30)

    working = asyncio.create_task(work())
    while not path.exists():
        await asyncio.sleep(0.01)
    fence = path.with_name("another.given-up")
    fence.write_text("")
    other = path.with_name("two")
    other.write_text("lives")
    clear(path.parent, lambda name: name != "two", all_done=False)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(working, 10)
    assert {*path.parent.iterdir()} == {fence, other}, "what was given up may yet begin"
    clear(path.parent, lambda name: name != "two", all_done=True)
    assert {*path.parent.iterdir()} == {other}, "and then finds nothing to do"
