"""What `make test` leaves to `make drills`: the same in any order, and never all of a kind."""

from types import SimpleNamespace
from typing import Any

import pytest
from support.share import SEED, SHARE, Draw, drawn


class Item(SimpleNamespace):
    """As much of a collected test as the draw looks at."""

    def get_closest_marker(self, name: str) -> Any:
        return self.marks.get(name)


def item_of(function: str, engine: str, case: str = "", **marks: dict[str, Any]) -> Any:
    given = "-".join(filter(None, (engine, case)))
    told = {name: SimpleNamespace(kwargs=kwargs) for name, kwargs in marks.items()}
    return Item(
        nodeid=f"tests/a/test_a.py::{function}[{given}]",
        name=f"{function}[{given}]",
        originalname=function,
        callspec=SimpleNamespace(id=given),
        marks=told | {engine: SimpleNamespace(kwargs={})},
    )


ENGINES = ("docker", "bubblewrap")
CASES = [f"way{number}" for number in range(12)]


def many(**of: Any) -> list[Any]:
    return [
        item_of(function, engine, case, catalogue=of)
        for function in ("test_one", "test_other")
        for case in CASES
        for engine in ENGINES
    ]


def names(items: list[Any]) -> set[str]:
    return {item.nodeid for item in items}


@pytest.mark.parametrize("seed", ["1", "2", "x"])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.6])
def test_each_function_case_and_engine_keeps_one(share: float, seed: str):
    draw = Draw(share, seed)
    for items, least in ((many(), 2), (many(each_case=True), 2 * len(CASES))):
        kept = drawn(items, draw)
        assert least <= len(kept) < len(items)
        assert {item.originalname for item in kept} == {"test_one", "test_other"}
        assert {name for item in kept for name in ENGINES if name in item.marks} == set(ENGINES)
        assert names(drawn(items[::-1], draw)) == names(kept), "the order does not matter"
    cases = {(item.originalname, item.callspec.id.split("-")[1]) for item in kept}
    assert len(cases) == 2 * len(CASES)


@pytest.mark.parametrize("seed", ["1", "2", "x"])
def test_of_what_several_functions_show_together_one_is_kept(seed: str):
    kept = drawn(many(of="kills"), Draw(0.0, seed))
    assert len(kept) == 1


def test_what_stands_alone_is_kept_and_a_long_drill_is_not():
    alone, short = (
        item_of("test_alone", "docker"),
        item_of("test_short", "docker", drill={"short": True}),
    )
    long = item_of("test_long", "docker", drill={})
    assert drawn([alone, long, short], Draw(0.0, "1")) == [alone, short]
    assert drawn([alone, long, short], Draw(1.0, "1")) == [alone, long, short]


def test_another_seed_draws_others():
    kept = [names(drawn(many(each_case=True), Draw(0.2, seed))) for seed in ("1", "2")]
    assert kept[0] != kept[1]


@pytest.mark.parametrize("share", ["much", "-1", "2", "nan"])
def test_a_share_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch, share: str):
    monkeypatch.setenv(SHARE, share)
    with pytest.raises(pytest.UsageError, match=rf"{SHARE}: is '{share}'"):
        Draw.from_environment()


def test_without_a_word_everything_is_run(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(SHARE, raising=False)
    monkeypatch.delenv(SEED, raising=False)
    assert drawn(many(), Draw.from_environment()) == many()
