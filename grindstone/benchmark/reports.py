"""Reading a verifier's test reports: CTRF, JUnit XML, and pytest's closing summary.

A report never decides whether there is a score; an unreadable one is passed over. CTRF is
taken before JUnit, so that a test reported in both counts once.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from grindstone.records import TestResult

Status = Literal["passed", "failed", "skipped", "error"]

LIMIT_BYTES = 20_000_000
LIMIT_TESTS = 10_000
LIMIT_MESSAGE = 4_000

_CTRF_STATUS: Mapping[str, Status] = {
    "passed": "passed",
    "failed": "failed",
    "skipped": "skipped",
    "pending": "skipped",
    "other": "error",
}
_SUMMARY_STATUS: Mapping[str, Status] = {
    "PASSED": "passed",
    "XPASS": "passed",
    "FAILED": "failed",
    "ERROR": "error",
    "SKIPPED": "skipped",
    "XFAIL": "skipped",
}
_SUMMARY_HEAD = re.compile(r"^=+ short test summary info =+$", re.MULTILINE)
_SUMMARY_LINE = re.compile(
    # A parametrised name may hold anything, " - " included, between its brackets.
    r"(?P<status>PASSED|XPASS|FAILED|ERROR|XFAIL) (?P<name>\S+?(?:\[.*?\])?)(?: - (?P<message>.*))?"
    r"|SKIPPED \[\d+\] (?P<place>\S+?): (?P<reason>.*)"
)
_PHASE = re.compile(r"The test failed in the \w+ phase")
_LIMIT_LINE = 2_000


class Report(NamedTuple):
    """What the verifier said of single tests."""

    tests: tuple[TestResult, ...]
    from_files: bool  # False: read from the output, which tested programs may print to


def read_report(files: Mapping[str, bytes], output: str) -> Report:
    """Return the tests of the log folder's report files, else those of pytest's summary."""
    for read in (_read_ctrf, _read_junit):
        if tests := tuple(_bounded(read(files))):
            return Report(tests, from_files=True)
    return Report(tuple(_bounded(_read_summary(output))), from_files=False)


def _bounded(tests: Iterable[TestResult]) -> Iterator[TestResult]:
    for count, test in enumerate(tests):
        if count == LIMIT_TESTS:
            return
        yield test


def _result(name: object, status: Status, message: object) -> TestResult:
    text = _whole(message) if isinstance(message, str) else ""
    if len(text) > LIMIT_MESSAGE:
        text = text[:LIMIT_MESSAGE] + " [cut]"
    return TestResult(name=_whole(str(name))[:1_000], status=status, message=text)


def _whole(text: str) -> str:
    """Return a text with a mark for each half of a character, which JSON can hold and no file."""
    return text.encode("utf-8", errors="replace").decode()


def _read_ctrf(files: Mapping[str, bytes]) -> Iterator[TestResult]:
    for name, content in sorted(files.items()):
        base = name.rpartition("/")[2].lower()
        if not (base.endswith(".json") and "ctrf" in base) or len(content) > LIMIT_BYTES:
            continue
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            continue
        results = document.get("results") if isinstance(document, dict) else None
        listed = results.get("tests") if isinstance(results, dict) else None
        for test in listed if isinstance(listed, list) else []:
            if isinstance(test, dict) and "name" in test:
                yield _ctrf_test(test)


def _ctrf_test(test: Mapping[str, Any]) -> TestResult:
    status = _CTRF_STATUS.get(str(test.get("status")), "error")
    said = [text for name in ("message", "trace") if isinstance(text := test.get(name), str)]
    # pytest-json-ctrf says the same of every failure; what failed is in its trace.
    told = [text for text in said if text.strip() and not _PHASE.match(text)] or said
    if len(told) > 1 and told[0] in told[1]:
        told = told[1:]
    return _result(test["name"], status, "\n".join(told))


def _read_junit(files: Mapping[str, bytes]) -> Iterator[TestResult]:
    for name, content in sorted(files.items()):
        if name.lower().endswith(".xml") and len(content) <= LIMIT_BYTES:
            try:
                tests = list(_junit_tests(content))
            except RecursionError:  # as deep as who wrote it liked
                continue
            yield from tests


def _junit_tests(content: bytes) -> Iterator[TestResult]:
    # Decoded here, so that no encoding hides what is looked for. Entities are how XML bombs
    # and file reads come in; no report needs a document type.
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return
    if "<!" in text.replace("<!--", "").replace("<![CDATA[", ""):
        return
    from xml.etree.ElementTree import ParseError

    from junitparser import (
        Error,
        Failure,
        JUnitXml,
        JUnitXmlError,
        Skipped,
        TestSuite,
    )

    try:
        parsed = JUnitXml.fromstring(text)
    except (ParseError, JUnitXmlError, ValueError):
        return
    except SyntaxError:  # lxml's parse errors, where lxml is installed
        return
    suites: list[Any] = [parsed] if isinstance(parsed, TestSuite) else list(parsed)
    for suite in suites:
        # Iterating over a suite goes into the suites within it.
        for case in suite:
            status: Status = "passed"
            message = ""
            for result in case.result:
                message = "\n".join(part for part in (result.message, result.text) if part)
                if isinstance(result, Error):
                    status = "error"
                elif isinstance(result, Failure):
                    status = "failed"
                elif isinstance(result, Skipped):
                    status = "skipped"
                if status in ("error", "failed"):
                    break
            name = f"{case.classname}::{case.name}" if case.classname else case.name
            yield _result(name, status, message)


def _read_summary(output: str) -> Iterator[TestResult]:
    heads = list(_SUMMARY_HEAD.finditer(output))
    if not heads:
        return
    for line in output[heads[-1].end() :].splitlines():
        match = _SUMMARY_LINE.fullmatch(line[:_LIMIT_LINE])
        if match is None:
            continue
        if match["place"]:
            yield _result(match["place"], "skipped", match["reason"])
        else:
            yield _result(match["name"], _SUMMARY_STATUS[match["status"]], match["message"])
