"""Each feedback level is proven by what it does not show: canaries planted in real output."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grindstone.benchmark.reports import read_report
from grindstone.observe.feedback import build_feedback
from grindstone.observe.masking import (
    PARAMS,
    UNNAMED,
    VALUE,
    known_paths,
    mask_message,
    mask_output,
    strip_parameters,
)
from grindstone.records import FailureClass, TestResult, Verdict
from grindstone.resources import bundled
from grindstone.settings import FeedbackLevel

CANARIES = ("canaryvalue", "CanarySource", "canaryparam", "7391846", "0.73951", "CANARYSTDOUT")

SUITE = """
import pytest
from pathlib import Path

class TestReport:
    def test_number(self):
        CanarySource = 7391846
        assert len("abc") == CanarySource

    @pytest.mark.parametrize("name", ["canaryparam - [x[0]]::y", "canaryparam 2"])
    def test_growth_values(self, name):
        assert name == "canaryvalue"

    def test_dictionary(self):
        assert {"a": 1, "b": [1, 2]} == {"a": "canaryvalue", "b": [1, 7391846]}

    def test_approx(self):
        assert 0.5 == pytest.approx(0.73951)

    def test_message(self):
        print("CANARYSTDOUT")
        assert False, "Expected: canaryvalue, should be 7391846"

    def test_several_lines(self):
        assert "one\\ntwo" == "one\\ncanaryvalue\\nthree"

    def test_list(self):
        assert ["a"] == ["a", "canaryvalue"]

    def test_file(self):
        Path("/root/report.csv").read_text()

    def test_other_file(self):
        Path("/root/canaryvalue.csv").read_text()

    def test_raises(self):
        raise ValueError("canaryvalue must not be 7391846")

    def test_key(self):
        {}["canaryvalue"]
"""


@pytest.fixture(scope="module")
def verdict(tmp_path_factory: pytest.TempPathFactory) -> Verdict:
    folder = tmp_path_factory.mktemp("suite")
    (folder / "test_outputs.py").write_text(SUITE)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-vv", "-p", "no:cacheprovider", "test_outputs.py"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert all(canary in done.stdout for canary in CANARIES)
    return Verdict(
        reward=0.25,
        passed=False,
        tests=(
            TestResult(
                name="test_outputs.py::TestReport::test_growth_values[canaryparam - [x[0]]::y]",
                status="failed",
                message="AssertionError: assert 'x' == 'canaryvalue'\nCanarySource",
            ),
            TestResult(
                name="test_outputs.py::TestReport::test_growth_values[canaryparam 2]",
                status="failed",
                message="should be canaryvalue",
            ),
            TestResult(name="test_outputs.py::TestReport::test_ok", status="passed"),
        ),
        output=done.stdout,
    )


def feedback(verdict: Verdict, level: FeedbackLevel):
    return build_feedback(
        verdict,
        level=level,
        task_id="report",
        category="data",
        failure_class=FailureClass.TEST_FAIL,
        instruction="Write /root/report.csv.",
        commands=["ls /root"],
    )


@pytest.mark.commands
@pytest.mark.parametrize("level", [each for each in FeedbackLevel if each != FeedbackLevel.FULL])
def test_no_canary_is_shown_below_full(verdict: Verdict, level: FeedbackLevel):
    told = feedback(verdict, level)
    for text in (told.to_markdown(), told.model_dump_json()):
        assert [canary for canary in CANARIES if canary in text] == []


def test_full_shows_everything(verdict: Verdict):
    text = feedback(verdict, FeedbackLevel.FULL).to_markdown()
    assert all(canary in text for canary in CANARIES)


def test_each_level_adds_to_the_one_before(verdict: Verdict):
    none, score, tests, masked = (
        feedback(verdict, level)
        for level in (
            FeedbackLevel.NONE,
            FeedbackLevel.SCORE,
            FeedbackLevel.TESTS,
            FeedbackLevel.MASKED,
        )
    )
    assert none.reward is None and none.tests_total is None and not none.tests
    assert "data" in none.to_markdown() and "test_fail" in none.to_markdown()
    assert (score.reward, score.tests_passed, score.tests_total) == (0.25, 1, 3)
    assert not score.tests
    assert [(test.name, test.count) for test in tests.tests] == [
        ("test_outputs.py::TestReport::test_growth_values[<PARAMS>]", 2),
        ("test_outputs.py::TestReport::test_ok", 1),
    ]
    assert not tests.output
    assert masked.output


def test_masked_output_still_says_what_kind_of_failure_it_was(verdict: Verdict):
    output = feedback(verdict, FeedbackLevel.MASKED).output
    assert "FileNotFoundError" in output
    assert "concerns /root/report.csv" in output
    assert "KeyError" in output and "ValueError" in output
    assert "assert <VALUE> == <VALUE>" in output
    assert f"TestReport::test_growth_values{PARAMS}" in output


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("tests/test_a.py::TestB::test_c[x[0]::y]", "tests/test_a.py::TestB::test_c[<PARAMS>]"),
        ("test_foo[B8 - Science Avg]", "test_foo[<PARAMS>]"),
        ("test_growth(42)", "test_growth[<PARAMS>]"),
        ("tests.test_outputs.TestX.test_y", "tests.test_outputs.TestX.test_y"),
        ("TestSum/expects_42", "TestSum[<PARAMS>]"),
        ("should be 42", UNNAMED),
        ("test_a", "test_a"),
    ],
)
def test_parameters_are_stripped_from_names(name: str, shown: str):
    assert strip_parameters(name) == shown


@pytest.mark.parametrize(
    "message",
    [
        "AssertionError: Expected: 42",
        "AssertionError: total should be 42",
        "assert 41 == 42",
        "assert approx(0.7) == 42",
        "AssertionError: got {'a': 42}",
        'AssertionError: "42" not in output',
        "expected 42, got 41",
        "Error 42: wrong",
        "E42Error: 42",
        "AssertionError: assert None is not 42",
    ],
)
def test_values_are_masked_however_they_are_said(message: str):
    assert "42" not in mask_message(message, frozenset())


def test_a_vocabulary_word_that_is_the_answer_is_masked():
    assert "missing" not in mask_message("AssertionError: Expected: missing", frozenset())
    assert "missing" not in mask_message("status should be missing", frozenset())
    assert "missing" not in mask_message("AssertionError: status=missing", frozenset())


def test_a_known_path_is_shown_for_absence_and_not_for_comparison():
    known = known_paths(["choose /data/a.csv or /data/b.csv"])
    absent = "FileNotFoundError: [Errno 2] No such file or directory: '/data/a.csv'"
    assert "/data/a.csv" in mask_message(absent, known)
    assert "/data/a.csv" not in mask_message("assert '/data/b.csv' == '/data/a.csv'", known)
    assert "/data/a.csv" not in mask_message("AssertionError: expected /data/a.csv", known)


SECRET = st.text(alphabet="qzxjQZXJ0123456789_-+", min_size=4, max_size=12)


@given(
    secret=SECRET,
    line=st.sampled_from(
        [
            "E   assert x == {0}",
            "E   AssertionError: {0}",
            "E     + {0}",
            "E   At index 0 diff: 1 != {0}",
            ">       assert total == {0}",
            "FAILED t.py::test_a[{0}] - assert 1 == {0}",
            "FAILED t.py::test_a - {0}Error: {0}",
            "FAILED t.py::test_a[a] - b] - {0}",
            "t.py::test_a[{0}] FAILED [ 50%]",
            "____ test_a[{0}] ____",
            "FAIL: expected {0}",
            "{0}",
            "error: {0} is not {0}",
            "t.py:3: {0}Error",
        ]
    ),
)
def test_no_line_of_a_report_lets_a_secret_through(secret: str, line: str):
    assert secret not in mask_output(line.format(secret), frozenset())


TRACEBACK = """Traceback (most recent call last):
  File "/tests/checks.py", line 12, in load
    with open(canaryvalue, encoding="utf-8") as handle:
         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
FileNotFoundError: [Errno 2] No such file or directory: '/app/out/sales.json'
"""


def test_a_traceback_is_told_by_its_last_line():
    known = known_paths(["write /app/out/sales.json"])
    assert mask_message(TRACEBACK, known) == (
        f"FileNotFoundError: errno {VALUE} no such file or directory {VALUE} "
        "(concerns /app/out/sales.json)"
    )
    assert "canaryvalue" not in mask_message(TRACEBACK.replace("/app/out", "canaryvalue"), known)
    chained = (
        TRACEBACK
        + "\nDuring handling of the above exception:\n\n"
        + ("Traceback (most recent call last):\n  File 'x', line 1\nKeyError: 'canaryvalue'\n")
    )
    assert mask_message(chained, known) == f"KeyError: {VALUE}"


def test_what_a_ctrf_plugin_says_of_every_failure_is_passed_over():
    message = "The test failed in the call phase due to an assertion error"
    trace = "def test_sum():\n>       assert total() == 7391846\nE       assert 5 == 7391846\n"
    assert mask_message(f"{message}\n{trace}", frozenset()) == f"assert {VALUE} == {VALUE}"
    assert mask_message(message, frozenset()) == ""
    assert mask_message("canaryvalue 7391846", frozenset()) == "", "nothing but values is nothing"


def test_the_trace_is_read_where_the_message_says_nothing():
    message = "The test failed in the call phase due to an assertion error"
    tests = [{"name": "t", "status": "failed", "message": message, "trace": "E  assert 1 == 2"}]
    report = read_report({"ctrf.json": json.dumps({"results": {"tests": tests}}).encode()}, "")
    assert report.tests[0].message == "E  assert 1 == 2"


@pytest.mark.commands
def test_the_bundled_runners_own_output_says_what_went_wrong(tmp_path):
    """branch-sales graded where the agent left nothing: its real checks, its real report."""
    tests = bundled("examples/tasks/branch-sales/tests")
    code = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import runner, checks; "
        "runner.LOGS = pathlib.Path(sys.argv[2]); checks.OUT = sys.argv[2] + '/out/sales.json'; "
        "checks.run()"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", code, str(tests), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    report = read_report({"ctrf.json": (tmp_path / "ctrf.json").read_bytes()}, done.stdout)
    told = build_feedback(
        Verdict(reward=0.0, passed=False, tests=report.tests, output=done.stdout),
        level=FeedbackLevel.MASKED,
        task_id="branch-sales",
        category="data-formats",
        failure_class=FailureClass.TEST_FAIL,
        instruction=f"write it to {tmp_path}/out/sales.json",
    )
    lines = [line for line in told.output.splitlines() if line.startswith("test_plain_export")]
    assert lines
    assert all("FileNotFoundError" in line and "sales.json" in line for line in lines)
    assert "most" not in told.output
