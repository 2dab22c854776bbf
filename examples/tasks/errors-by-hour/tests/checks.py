"""The counts must be those of the log."""

import json

import make_data
import runner

OUT = "/app/out/errors.json"


def load():
    with open(OUT, encoding="utf-8") as handle:
        return json.load(handle)


def test_is_an_object_of_counts():
    counts = load()
    assert isinstance(counts, dict) and counts, "expected a JSON object that is not empty"
    assert all(type(n) is int for n in counts.values()), "expected whole numbers"


def test_hours():
    assert set(load()) == set(make_data.expected()), "hours are missing or extra"


def test_counts():
    assert load() == make_data.expected(), "counts differ"


def run():
    runner.main(
        [(n, f) for n, f in globals().items() if n.startswith("test_")], all_or_nothing=True
    )
