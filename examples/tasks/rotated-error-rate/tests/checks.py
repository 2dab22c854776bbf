"""The counts must be those of all logs, in UTC."""

import json

import make_data
import runner

OUT = "/app/out/errors.json"


def load():
    with open(OUT, encoding="utf-8") as handle:
        counts = json.load(handle)
    assert isinstance(counts, dict) and counts, "expected a JSON object that is not empty"
    return counts


def test_counts_are_whole_numbers():
    assert all(type(n) is int and n > 0 for n in load().values()), "expected whole numbers"


def test_every_rotated_file_is_counted():
    want = sum(make_data.errors_per_hour().values())
    assert sum(load().values()) == want, "the total differs"


def test_hours_are_utc():
    assert set(load()) == set(make_data.errors_per_hour()), "hours are missing or extra"


def test_counts_per_hour():
    assert load() == make_data.errors_per_hour(), "counts differ"


def run():
    runner.main(
        [(n, f) for n, f in globals().items() if n.startswith("test_")], all_or_nothing=True
    )
