"""The timeline is graded by what it contains, by its order and by its form."""

import re

import make_data
import runner

OUT = "/app/out/timeline.log"
FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (INFO|WARN|ERROR) \S.*")


def load():
    with open(OUT, encoding="utf-8") as handle:
        lines = handle.read().splitlines()
    assert lines, "the timeline is empty"
    return lines


def message(line):
    return line.split(" ", 1)[1]


def test_form_of_each_line():
    assert all(FORM.fullmatch(line) for line in load()), "a line has another form"


def test_no_event_is_missing():
    missing = set(map(message, make_data.timeline())) - set(map(message, load()))
    assert not missing, f"{len(missing)} events are missing"


def test_no_event_twice():
    lines = load()
    assert len(lines) >= 500, "too few lines"
    assert len(lines) == len(set(map(message, lines))), "events appear more than once"


def test_times_are_utc():
    want = set(make_data.timeline())
    wrong = [line for line in load() if line not in want]
    assert not wrong, f"{len(wrong)} lines carry a wrong time"


def test_order():
    assert load() == make_data.timeline(), "the order differs"


def run():
    runner.main([(n, f) for n, f in globals().items() if n.startswith("test_")])
