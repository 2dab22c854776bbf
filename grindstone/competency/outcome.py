"""What came of a task, in the words of whoever evaluates it."""

from collections.abc import Callable
from numbers import Real
from typing import Any, NamedTuple

from grindstone.competency.checking import number

Evaluator = Callable[[str, Any], Any]
PASSING_GRADE = 0.5


class JudgedOutcome(NamedTuple):
    """Success, the grade from 0 to 1 where one was given, and what went wrong."""

    success: bool
    grade: float | None
    note: str


def judged(evaluator: Evaluator, task: str, response: Any) -> JudgedOutcome:
    """Return an evaluator's word on a response.

    A number from 0 to 1 is a grade, half of it or more a success; anything else counts by its
    truth. An evaluator that raises, or gives NaN or a number out of range, means a failure.
    """
    try:
        found = evaluator(task, response)
        if isinstance(found, Real) and not isinstance(found, bool):
            grade = number("success_evaluator", found, low=0.0, high=1.0)
            return JudgedOutcome(grade >= PASSING_GRADE, grade, "")
        return JudgedOutcome(bool(found), None, "")
    except Exception as error:  # noqa: BLE001 - the user's code; what it cannot read has failed
        return JudgedOutcome(
            False, None, f"evaluation failed: {type(error).__name__}: {error}"[:500]
        )
