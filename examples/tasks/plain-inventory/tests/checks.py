"""The inventory must have come through whole."""

import json

import make_data
import runner

OUT = "/app/out/inventory.json"


def load():
    with open(OUT, encoding="utf-8") as handle:
        return json.load(handle)


def test_is_an_array_of_objects():
    rows = load()
    assert isinstance(rows, list) and rows, "expected a JSON array that is not empty"
    assert all(isinstance(row, dict) for row in rows), "expected objects"


def test_columns():
    keys = list(make_data.records(count=1)[0])
    assert all(list(row) == keys for row in load()), "the keys differ from the header"


def test_text_columns():
    for want, got in zip(make_data.records(), load(), strict=True):
        assert all(got[k] == want[k] for k in ("sku", "item", "shelf")), f"row {want['sku']}"


def test_numbers_are_numbers():
    for want, got in zip(make_data.records(), load(), strict=True):
        assert isinstance(got["quantity"], int) and not isinstance(got["quantity"], bool)
        assert got["quantity"] == want["quantity"], f"quantity of {want['sku']}"
        assert isinstance(got["price"], (int, float)), f"price of {want['sku']}"
        assert abs(got["price"] - want["price"]) < 1e-9, f"price of {want['sku']}"


def run():
    runner.main(
        [(n, f) for n, f in globals().items() if n.startswith("test_")], all_or_nothing=True
    )
