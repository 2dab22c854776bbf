"""What nobody foresaw stops at a step; what was foreseen, and cancellation, pass."""

import asyncio

import pytest

from grindstone.boundary import Incident, keeping, step_boundary
from grindstone.errors import (
    BudgetExceededError,
    Cause,
    InfrastructureError,
    InputError,
    InternalError,
    RefusedError,
    RetryBy,
)

UNFORESEEN = [
    RecursionError("too deep"),
    ValueError("4300 digits"),
    OSError(36, "File name too long", "x" * 300),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
]
FORESEEN = [
    InputError("task.toml", "is wrong", "right"),
    RefusedError("no"),
    BudgetExceededError("spent"),
    InfrastructureError(Cause.OVERLOADED, "529"),
]


@pytest.mark.parametrize("error", UNFORESEEN, ids=lambda error: type(error).__name__)
def test_an_unforeseen_error_is_internal_and_kept_with_its_traceback(error: Exception):
    kept: list[Incident] = []

    def keep(incident: Incident) -> str:
        kept.append(incident)
        return "see file"

    with (
        keeping(keep),
        pytest.raises(InternalError, match=r"attempt x: .*\(see file\)") as told,
        step_boundary("attempt x", episode_id="e1"),
    ):
        raise error
    assert told.value.cause is Cause.INTERNAL
    assert told.value.policy.retry_by is RetryBy.NOBODY
    [incident] = kept
    assert (incident.step, incident.episode_id) == ("attempt x", "e1")
    assert type(error).__name__ in incident.error
    assert "test_boundary.py" in incident.traceback


@pytest.mark.parametrize("error", FORESEEN, ids=lambda error: type(error).__name__)
def test_what_the_errors_foresee_passes_as_it_is(error: Exception):
    with pytest.raises(type(error)) as told, step_boundary("attempt x"):
        raise error
    assert told.value is error


@pytest.mark.parametrize("stop", [asyncio.CancelledError, KeyboardInterrupt, SystemExit])
def test_cancellation_passes(stop: type[BaseException]):
    with pytest.raises(stop), keeping(lambda _: ""), step_boundary("attempt x"):
        raise stop


def test_what_ends_the_run_passes_where_the_run_says_so():
    with (
        keeping(lambda _: "", passing=lambda error: isinstance(error, ConnectionError)),
        pytest.raises(ConnectionResetError),
        step_boundary("attempt x"),
    ):
        raise ConnectionResetError
    with pytest.raises(InternalError), step_boundary("attempt x"):
        raise ConnectionResetError


def test_text_that_no_file_can_hold_is_told_all_the_same():
    kept: list[Incident] = []
    with (
        keeping(lambda incident: kept.append(incident) or ""),
        pytest.raises(InternalError) as told,
        step_boundary("attempt \udcff"),
    ):
        raise ValueError("a name \ud800")
    for text in (str(told.value), *kept[0]):
        text.encode()


def test_within_another_step_it_is_kept_once():
    kept: list[Incident] = []
    with (
        keeping(lambda incident: kept.append(incident) or ""),
        pytest.raises(InternalError),
        step_boundary("run"),
        step_boundary("attempt"),
    ):
        raise ValueError("x")
    assert [incident.step for incident in kept] == ["attempt"]


def test_a_step_that_ends_is_told_and_one_that_breaks_is_not():
    done: list[str] = []
    with keeping(lambda _: "", done=done.append):
        with step_boundary("good"):
            pass
        with pytest.raises(InternalError), step_boundary("bad"):
            raise ValueError("x")
        with pytest.raises(RefusedError), step_boundary("refused"):
            raise RefusedError("no")
    assert done == ["good"]
