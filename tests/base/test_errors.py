import pickle

import pytest

from grindstone.errors import (
    POLICIES,
    Cause,
    InfrastructureError,
    InputError,
    InternalError,
    RetryBy,
)


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_has_one_policy(cause: Cause):
    policy = POLICIES[cause]
    assert policy.tries >= 1
    assert policy.meaning
    assert (policy.retry_by is RetryBy.NOBODY) == (policy.tries == 1)


def test_an_input_error_names_place_problem_and_expectation():
    error = InputError("task.toml: cpus", "is -1", "a positive number")
    assert str(error) == "task.toml: cpus: is -1; expected a positive number"


@pytest.mark.parametrize(
    "error",
    [
        InputError("a", "b", "c"),
        InfrastructureError(Cause.OVERLOADED, "529"),
        InternalError("ValueError: x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_survive_the_way_between_processes(error: Exception):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert vars(again) == vars(error)
