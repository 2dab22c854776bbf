"""How many attempts travel together."""

from typing import Any

import pytest

from grindstone.runs.slicing import MOST_BYTES, lacking, slice_size, that_fit


def sizes(total: int, *, slices: int, at_once: int, attempt_s: float | None, most: int | None):
    left, found = total, []
    while left:
        size = slice_size(left, slices=slices, at_once=at_once, attempt_s=attempt_s, most=most)
        assert 1 <= size <= left
        found.append(size)
        left -= size
    return found


def test_a_slice_is_two_minutes_work_and_the_last_ones_are_small():
    found = sizes(1000, slices=4, at_once=4, attempt_s=10.0, most=None)
    assert max(found) == 48
    assert found == sorted(found, reverse=True)
    assert found[-1] <= 4


def test_quick_attempts_travel_in_large_slices_and_slow_ones_in_small():
    assert sizes(1000, slices=1, at_once=4, attempt_s=1.0, most=None)[0] == 480
    assert sizes(1000, slices=1, at_once=4, attempt_s=600.0, most=None)[0] == 1
    assert sizes(1000, slices=1, at_once=4, attempt_s=None, most=None)[0] == 16


def test_the_users_limit_holds():
    assert set(sizes(10, slices=1, at_once=4, attempt_s=1.0, most=1)) == {1}
    assert max(sizes(100, slices=1, at_once=4, attempt_s=1.0, most=7)) == 7


def lacks(unfinished: int, left: int, attempt_s: float | None, at_once: int = 4) -> int:
    return lacking(unfinished, left, slices=4, at_once=at_once, attempt_s=attempt_s)


def test_a_slice_lacks_what_its_places_make_until_more_can_come():
    assert lacks(0, 17, 60.0) == 5
    assert lacks(5, 17, 60.0) == 0
    assert lacks(4, 17, 60.0) == 3
    assert lacks(4, 8, 1.0) == 24
    assert lacks(4, 8, None) == 4


def test_the_last_attempts_go_where_a_place_is_idle():
    assert lacks(4, 16, 60.0) == 0
    assert lacks(2, 16, 60.0) == 2
    assert lacks(0, 1, 600.0) == 4


def test_where_much_is_left_a_slice_is_handed_what_it_does_alone_for_a_while():
    assert lacks(4, 1000, 60.0) == 8, "two minutes' work"
    assert lacks(4, 1000, 10.0) == 48
    assert lacks(4, 100, 10.0) == 13, "its part of half of that"
    assert lacks(40, 1000, 10.0) == 0


def test_what_may_not_be_needed_is_sent_and_handed_as_it_is_made():
    about: dict[str, Any] = {"slices": 4, "at_once": 4, "attempt_s": 10.0, "sparing": True}
    assert slice_size(1000, most=None, **about) == 4
    assert lacking(4, 1000, **about) == 3
    assert lacking(7, 1000, **about) == 0


@pytest.mark.parametrize(
    ("sizes", "size", "fits"),
    [
        ([1000] * 10, 4, 4),
        ([MOST_BYTES // 2] * 10, 4, 2),
        ([MOST_BYTES * 2] * 10, 4, 1),
        ([1000], 4, 1),
    ],
)
def test_the_parameters_of_a_slice_stay_below_the_servers_limit(
    sizes: list[int], size: int, fits: int
):
    assert that_fit(sizes, size) == fits
