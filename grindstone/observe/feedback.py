"""How much of the verifier's word is passed on: five levels, each adding to the one before.

none    category and failure class
score   + reward and counts
tests   + names of tests, without their parameters
masked  + the verifier's output rebuilt from parts that hold no value and no test source
full    + the output as it is
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from grindstone.base import Frozen
from grindstone.observe.masking import known_paths, mask_message, mask_output, strip_parameters
from grindstone.records import FailureClass, Verdict
from grindstone.settings import FeedbackLevel
from grindstone.text import one_line, shorten

TestStatus = Literal["passed", "failed", "skipped", "error"]

_ORDER = tuple(FeedbackLevel)
FAILURE_CLASS = "- failure class: "
"""How the line on it begins."""

_OUTPUT_CHARS = 20_000


class TestLine(Frozen):
    """Tests of one name and status; those that differ by parameters only are one line."""

    __test__ = False  # not a pytest class

    name: str
    status: TestStatus
    count: PositiveInt = 1


class Feedback(Frozen):
    """What is told of one verdict. Fields above the level are empty, never filled and hidden."""

    level: FeedbackLevel
    task_id: str
    category: str
    failure_class: FailureClass
    reward: float | None = Field(None, description="From level score on.")
    tests_passed: NonNegativeInt | None = None
    tests_total: NonNegativeInt | None = None
    tests: tuple[TestLine, ...] = Field((), description="From level tests on.")
    output: str = Field("", description="At masked and full; masked it holds no value.")

    def lowered(self, level: FeedbackLevel) -> "Feedback":
        """Return what a lower level would have told of the same verdict; a higher one adds nothing.

        Between full and masked the paths the agent used are no longer known, so none is shown.
        """
        if _ORDER.index(level) >= _ORDER.index(self.level):
            return self
        has = _told_at(level)
        masked = level is FeedbackLevel.MASKED
        counts = Counter[tuple[str, TestStatus]]()
        for test in self.tests if has[FeedbackLevel.TESTS] else ():
            counts[strip_parameters(test.name), test.status] += test.count
        return Feedback(
            level=level,
            task_id=self.task_id,
            category=self.category,
            failure_class=self.failure_class,
            reward=self.reward if has[FeedbackLevel.SCORE] else None,
            tests_passed=self.tests_passed if has[FeedbackLevel.SCORE] else None,
            tests_total=self.tests_total if has[FeedbackLevel.SCORE] else None,
            tests=_lines_of(counts),
            output=mask_output(self.output, frozenset()) if masked else "",
        )

    def to_markdown(self) -> str:
        """Return the feedback as a person or a model reads it."""
        lines = [
            f"- category: {one_line(self.category)}",
            f"{FAILURE_CLASS}{self.failure_class.value}",
        ]
        if self.reward is not None:
            lines.append(f"- reward: {self.reward:.3f}")
        if self.tests_total is not None:
            lines.append(f"- tests passed: {self.tests_passed} of {self.tests_total}")
        failing = [test for test in self.tests if test.status != "passed"]
        if failing:
            lines.append("- tests that did not pass:")
            lines += [
                f"  - `{one_line(test.name)}` {test.status}"
                + (f" x{test.count}" if test.count > 1 else "")
                for test in failing
            ]
        passing = [test.name for test in self.tests if test.status == "passed"]
        if passing:
            lines.append(
                "- tests that passed: " + ", ".join(f"`{one_line(name)}`" for name in passing)
            )
        if self.output:
            title = "verifier output"
            if self.level is FeedbackLevel.MASKED:
                title += " (values and test source masked)"
            lines += [f"- {title}:", "", *(f"      {line}" for line in self.output.splitlines())]
        return "\n".join(lines)


def build_feedback(
    verdict: Verdict,
    *,
    level: FeedbackLevel,
    task_id: str,
    category: str,
    failure_class: FailureClass,
    instruction: str = "",
    commands: Iterable[str] = (),
) -> Feedback:
    """Return what may be told of a verdict at a level.

    Args:
        verdict: What the verifier said.
        level: How much of it is passed on.
        task_id: The task.
        category: Its category.
        failure_class: Why the attempt did not pass.
        instruction: What the agent was told; paths named there may be shown at `masked`.
        commands: What the agent ran; paths it used itself may be shown at `masked`.
    """
    has = _told_at(level)
    output = ""
    if has[FeedbackLevel.FULL]:
        output = _full_output(verdict)
    elif has[FeedbackLevel.MASKED]:
        output = _masked_output(verdict, known_paths([instruction, *commands]))
    return Feedback(
        level=level,
        task_id=task_id,
        category=category,
        failure_class=failure_class,
        reward=verdict.reward if has[FeedbackLevel.SCORE] else None,
        tests_passed=verdict.tests_passed if has[FeedbackLevel.SCORE] else None,
        tests_total=len(verdict.tests) if has[FeedbackLevel.SCORE] else None,
        tests=_test_lines(verdict, full=has[FeedbackLevel.FULL])
        if has[FeedbackLevel.TESTS]
        else (),
        output=shorten(output, _OUTPUT_CHARS),
    )


def _test_lines(verdict: Verdict, *, full: bool) -> tuple[TestLine, ...]:
    """Return one line per name and status, in the verifier's order of first appearance."""
    return _lines_of(
        Counter(
            (test.name if full else strip_parameters(test.name), test.status)
            for test in verdict.tests
        )
    )


def _lines_of(counts: Mapping[tuple[str, TestStatus], int]) -> tuple[TestLine, ...]:
    return tuple(
        TestLine(name=name, status=status, count=n) for (name, status), n in counts.items()
    )


def _told_at(level: FeedbackLevel) -> dict[FeedbackLevel, bool]:
    """Return which levels' part a level tells: its own and those before it."""
    reach = _ORDER.index(level)
    return {each: reach >= _ORDER.index(each) for each in _ORDER}


def _masked_output(verdict: Verdict, known: frozenset[str]) -> str:
    parts = [mask_output(verdict.output, known)]
    for test in verdict.tests:
        masked = mask_message(test.message, known) if test.status in ("failed", "error") else ""
        if masked:
            parts.append(f"{strip_parameters(test.name)}: {masked}")
    return "\n".join(dict.fromkeys(part for part in parts if part))


def _full_output(verdict: Verdict) -> str:
    messages = [f"{test.name}: {test.message}" for test in verdict.tests if test.message]
    return "\n".join([verdict.output, *messages]).strip()
