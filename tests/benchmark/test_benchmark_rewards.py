import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grindstone.benchmark.reports import LIMIT_MESSAGE, read_report
from grindstone.benchmark.rewards import RewardError, RewardMissingError, read_reward
from grindstone.benchmark.scoring import score_of
from grindstone.benchmark.verifier import cap, read_verdict
from grindstone.errors import Cause, InfrastructureError
from grindstone.sandbox.protocol import ExecResult, SealedResult
from grindstone.settings import ScoreMode


def sealed(output="", exit_code=0, timed_out=False, **files):
    named = {name.replace("_", "."): content.encode() for name, content in files.items()}
    return SealedResult(ExecResult(exit_code, output, timed_out, 0.5), named)


@pytest.mark.parametrize(
    ("files", "reward"),
    [
        ({"reward.txt": "1"}, 1.0),
        ({"reward.txt": " 0.25\n"}, 0.25),
        ({"reward.txt": "-0.0"}, 0.0),
        ({"reward.json": '{"reward": 0.5}'}, 0.5),
        ({"reward.json": '{"reward": 1, "speed": 7}', "reward.txt": "0"}, 1.0),
        ({"reward.json": '{"speed": 7}', "reward.txt": "0.75"}, 0.75),
        ({"reward.json": '{"accuracy": 0.5, "note": "x", "ok": true}'}, 0.5),
        ({"reward.json": "1"}, 1.0),
        ({"reward.json": '{"reward": true}', "reward.txt": "0"}, 1.0),
        ({"reward.json": '{"reward": false}'}, 0.0),
        ({"reward.json": "true"}, 1.0),
    ],
)
def test_rewards(files, reward):
    assert read_reward({name: text.encode() for name, text in files.items()}) == reward


@pytest.mark.parametrize(
    "files",
    [
        {"reward.txt": ""},
        {"reward.txt": "passed"},
        {"reward.txt": "nan"},
        {"reward.txt": "inf"},
        {"reward.txt": "1.0001"},
        {"reward.txt": "-0.1"},
        {"reward.txt": "1_0"},
        {"reward.txt": "1 1"},
        {"reward.txt": "\u0661"},
        {"reward.json": "{"},
        {"reward.json": "[" * 100_000},
        {"reward.json": "[1]"},
        {"reward.json": "{}"},
        {"reward.json": '{"reward": null}'},
        {"reward.json": '{"reward": "1"}'},
        {"reward.json": '{"reward": NaN}'},
        {"reward.json": '{"reward": 1e999}'},
        {"reward.json": '{"reward": 1' + "0" * 400 + "}"},
        {"reward.json": '{"a": 1, "b": 0}'},
        {"reward.json": "{", "reward.txt": "1"},
    ],
)
def test_no_rewards(files):
    with pytest.raises(RewardError):
        read_reward({name: text.encode() for name, text in files.items()})


def test_a_missing_reward_is_told_apart():
    with pytest.raises(RewardMissingError):
        read_reward({"ctrf.json": b"{}"})


@given(st.binary(max_size=60), st.sampled_from(["reward.txt", "reward.json"]))
def test_any_bytes_give_a_reward_or_the_one_error(content, name):
    with suppress(RewardError):
        assert 0 <= read_reward({name: content}) <= 1


CTRF = json.dumps(
    {
        "results": {
            "tests": [
                {"name": "a", "status": "passed"},
                {"name": "b", "status": "failed", "message": "no", "trace": "long"},
                {"name": "c", "status": "skipped"},
                {"name": "d", "status": "pending"},
                {"name": "e", "status": "other"},
                {"status": "passed"},
                7,
            ]
        }
    }
)
JUNIT = """<?xml version="1.0"?>
<testsuites><testsuite name="s">
  <testcase classname="tests.test_x" name="test_a[1-2]"/>
  <testcase classname="tests.test_x" name="test_b">
    <failure message="assert 1">trace</failure></testcase>
  <testcase classname="tests.test_x" name="test_c"><skipped message="later"/></testcase>
  <testcase name="test_d"><error message="boom"/></testcase>
</testsuite></testsuites>"""
SUMMARY = """\
PASSED not in the summary
=========================== short test summary info ============================
PASSED ../tests/test_x.py::test_a
FAILED ../tests/test_x.py::test_b[B8 - Avg] - assert 1 == 2
ERROR ../tests/test_x.py::test_c - fixture 'x' not found
SKIPPED [1] ../tests/test_x.py:12: no service
XFAIL ../tests/test_x.py::test_d
========================= 1 failed, 1 passed in 0.10s ==========================
"""


def statuses(report):
    return [(test.name.rpartition("::")[2], test.status) for test in report.tests]


def test_ctrf():
    report = read_report({"ctrf.json": CTRF.encode(), "junit.xml": JUNIT.encode()}, SUMMARY)
    assert report.from_files
    assert statuses(report) == [
        ("a", "passed"),
        ("b", "failed"),
        ("c", "skipped"),
        ("d", "skipped"),
        ("e", "error"),
    ]
    assert report.tests[1].message == "no\nlong"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({"message": "assert 1 == 2", "trace": "t.py:3: AssertionError"}, ("message", "trace")),
        ({"message": "The test failed in the call phase", "trace": "assert 1 == 2"}, ("trace",)),
        ({"message": "The test failed in the call phase"}, ("message",)),
        ({"message": "1 == 2", "trace": "t.py:3\nassert 1 == 2"}, ("trace",)),
        ({"message": None, "trace": "t.py:3"}, ("trace",)),
        ({"message": ["no"], "trace": 7}, ()),
    ],
)
def test_a_ctrf_trace_is_kept_beside_a_message_that_tells_something_else(said, kept):
    document = {"results": {"tests": [{"name": "a", "status": "failed", **said}]}}
    [test] = read_report({"ctrf.json": json.dumps(document).encode()}, "").tests
    assert test.message == "\n".join(said[name] for name in kept)


def test_junit():
    report = read_report({"out/junit.xml": JUNIT.encode()}, "")
    assert report.from_files
    assert report.tests[0].name == "tests.test_x::test_a[1-2]"
    assert statuses(report)[1:] == [
        ("test_b", "failed"),
        ("test_c", "skipped"),
        ("test_d", "error"),
    ]


def test_junit_of_one_suite_and_of_nested_ones():
    one = '<testsuite name="s"><testcase name="a"/></testsuite>'
    nested = f'<testsuites><testsuite name="o">{one}<testcase name="b"/></testsuite></testsuites>'
    assert statuses(read_report({"a.xml": one.encode()}, "")) == [("a", "passed")]
    assert sorted(statuses(read_report({"a.xml": nested.encode()}, ""))) == [
        ("a", "passed"),
        ("b", "passed"),
    ]


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>' + JUNIT.partition("?>")[2]
FILE = (
    '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    '<testsuite><testcase name="&a;"/></testsuite>'
)


@pytest.mark.parametrize(
    "content",
    [
        BOMB.encode(),
        FILE.encode(),
        BOMB.encode("utf-16"),
        b'<?xml version="1.0" encoding="cp037"?>' + BOMB.encode("cp037"),
        b"<testsuites><broken",
        b"<html/>",
        b"",
        pytest.param(b"<testsuite>" * 5_000 + b"</testsuite>" * 5_000, id="deep"),
    ],
)
def test_xml_that_is_passed_over(content):
    assert read_report({"junit.xml": content}, "").tests == ()


def test_pytests_summary_is_read_where_there_is_no_file():
    report = read_report({}, SUMMARY)
    assert not report.from_files
    assert statuses(report) == [
        ("test_a", "passed"),
        ("test_b[B8 - Avg]", "failed"),
        ("test_c", "error"),
        ("../tests/test_x.py:12", "skipped"),
        ("test_d", "skipped"),
    ]
    assert report.tests[1].message == "assert 1 == 2"


def test_messages_are_cut():
    tests = [{"name": "a", "status": "failed", "message": "x" * 100_000}]
    report = read_report({"ctrf.json": json.dumps({"results": {"tests": tests}}).encode()}, "")
    assert len(report.tests[0].message) < LIMIT_MESSAGE + 10


@given(st.binary(max_size=200))
def test_any_report_is_read_or_passed_over(content):
    read_report({"ctrf.json": content, "junit.xml": content}, content.decode(errors="replace"))


PASSING = json.dumps({"results": {"tests": [{"name": "a", "status": "passed"}]}})
SKIPPING = json.dumps(
    {"results": {"tests": [{"name": "a", "status": "passed"}, {"name": "b", "status": "skipped"}]}}
)


@pytest.mark.parametrize(
    ("reward", "report", "mode", "passed", "score"),
    [
        ("1", "", "reward", True, 1.0),
        ("1", "", "binary", True, 1.0),
        ("0.5", "", "reward", False, 0.5),
        ("0.5", "", "binary", False, 0.0),
        ("0.5", "", "dual", False, 0.5),
        ("0.999", PASSING, "reward", False, 0.999),
        ("0.999", PASSING, "binary", True, 1.0),
        ("0.999", PASSING, "dual", True, 1.0),
        ("0.999", SKIPPING, "dual", False, 0.999),
        ("0", PASSING, "dual", False, 0.0),
        ("0.9999999999", "", "reward", True, 0.9999999999),
    ],
)
def test_score_modes(reward, report, mode, passed, score):
    files = {"reward_txt": reward} | ({"ctrf_json": report} if report else {})
    verdict = read_verdict(sealed(**files), timeout_s=1, score_mode=ScoreMode(mode))
    assert verdict.passed is passed
    assert score_of(verdict, ScoreMode(mode)) == score


def test_tests_named_in_the_output_alone_lift_no_reward():
    forged = SUMMARY.replace("FAILED", "PASSED").partition("ERROR")[0]
    verdict = read_verdict(sealed(forged, reward_txt="0.5"), timeout_s=1, score_mode=ScoreMode.DUAL)
    assert [test.status for test in verdict.tests] == ["passed", "passed"]
    assert not verdict.passed


def test_a_script_that_ended_at_its_failing_test_gives_nothing():
    verdict = read_verdict(
        sealed(exit_code=1, junit_xml=JUNIT), timeout_s=1, score_mode=ScoreMode.DUAL
    )
    assert verdict.reward == 0
    with pytest.raises(InfrastructureError) as caught:
        read_verdict(sealed(ctrf_json=PASSING), timeout_s=1, score_mode=ScoreMode.DUAL)
    assert caught.value.cause is Cause.VERIFIER_BROKEN
    with pytest.raises(InfrastructureError):
        read_verdict(sealed(SUMMARY, exit_code=1), timeout_s=1, score_mode=ScoreMode.DUAL)


def test_a_time_out_is_no_score_whatever_was_left():
    with pytest.raises(InfrastructureError) as caught:
        read_verdict(
            sealed("slow", 124, timed_out=True, reward_txt="1"),
            timeout_s=7,
            score_mode=ScoreMode.DUAL,
        )
    assert caught.value.cause is Cause.VERIFIER_TIMEOUT
    assert "7 s" in str(caught.value)


def test_long_output_keeps_both_ends():
    text = cap("a" * 500 + "b" * 5_000, 1_000)
    assert text.startswith("aaa")
    assert text.endswith("bbb")
    assert "4500 characters left out" in text
    assert len(text) < 1_100
