"""What of a verifier's output may be shown when its values and its source may not.

This does not hunt for things to hide: it keeps a short list of things that may be shown
and drops the rest. Kept are names of test functions without their parameters, exception
classes from a fixed list, the comparison an assertion made, words from a fixed vocabulary,
and paths the agent has itself been told of or has used. Everything else in a line that
reports a failure becomes `<VALUE>`; a line that does not report one (source, captured
output, diffs) is left out whole. Nothing here depends on what a value looks like.
"""

import builtins
import re
from collections.abc import Iterable

VALUE = "<VALUE>"
PARAMS = "[<PARAMS>]"
UNNAMED = "(a test whose name is not a plain identifier)"

LONGEST_WORD = 500
"""Characters of what may be a path or a word: patterns take time that grows with its square."""
_LONGEST_LINE = 2_000
_TOO_LONG = re.compile(rf"[\w.+/~-]{{{LONGEST_WORD},}}+")

_SEGMENT = r"[A-Za-z_][A-Za-z0-9_]*"
_NODE = re.compile(rf"(?:[\w./-]*::)?{_SEGMENT}(?:(?:::|\.){_SEGMENT})*")
_PATH = re.compile(r"(?:~|\.{1,2})?/?(?:[\w.+-]+/)*[\w+-]*(?:/|\.[A-Za-z][A-Za-z0-9]{0,9})(?![\w])")
_ABSOLUTE = re.compile(r"(?<![\w.])/(?:[\w.+-]+/)*[\w.+-]*[\w+-]")

_EXCEPTIONS = frozenset(
    name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
) | {
    "BadZipFile",
    "CalledProcessError",
    "ConnectTimeout",
    "DecodeError",
    "HTTPError",
    "InvalidFileException",
    "JSONDecodeError",
    "OperationalError",
    "ParseError",
    "ParserError",
    "ReadTimeout",
    "SSLError",
    "TimeoutExpired",
    "TOMLDecodeError",
    "URLError",
    "YAMLError",
}

# Words about the kind of a failure. None is likely to be an answer itself, and what follows
# a word of `_INTRODUCERS` is masked even when it is one of these.
_WORDS = """
    a actual an and at be but cannot column columns contain contains could did differ differs
    directory does empty exist exists expected field fields file files for format found got
    greater has have header invalid is key keys least length less line lines match matches
    mismatch missing more most must not of or output row rows sheet should than the to type
    was were with errno no such permission denied command
"""
_INTRODUCING = "expected got actual be is was were equal equals to of than has"
_VOCABULARY = frozenset(_WORDS.split())
_INTRODUCERS = frozenset(_INTRODUCING.split())
_RESUMERS = frozenset({",", ";", "but", "got", "expected", "actual"})
_RAISED = re.compile(r"^[A-Z]\w*(?:Error|Exception|Warning)$")
_OPERATOR = re.compile(r"(?<=\s)(==|!=|<=|>=|<|>|not in|in|is not|is)(?=\s)")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`")
_WORD = re.compile(rf"{re.escape(VALUE)}|[A-Za-z]+|[,;]|[^\sA-Za-z,;]+")

_SUMMARY = re.compile(r"^(FAILED|ERROR|PASSED|SKIPPED|XFAIL)\s+(\S+::.*)$")
_SUMMARY_STATUS = re.compile(r"^(\S+::\S.*?)\s+(FAILED|ERROR|PASSED|SKIPPED)\b")
_HEADING = re.compile(r"^_{3,}\s+(?:ERROR at \w+ of )?(.+?)\s+_{3,}$")
_LOCATION = re.compile(r"^[\w./-]+\.py:\d+: (\w+)$")
_PLAIN = re.compile(r"^(?:FAIL|FAILED|ERROR|Error|error|fatal)\b[:\s]")


_PYTEST_SAYS = re.compile(r"^E(\s{2,}|$)")
_PHASE = re.compile(r"^The test failed in the \w+ phase")  # pytest-json-ctrf, of every failure
_TRACEBACK = re.compile(r"^Traceback \(most recent call last\):")
_SAYS_SOMETHING = re.compile(r"[A-Za-z]")


def strip_parameters(name: str) -> str:
    """Return a test's name without anything it was parametrised with.

    `tests/test_a.py::TestB::test_c[x[0]::y]` gives `tests/test_a.py::TestB::test_c[<PARAMS>]`.
    A name that does not begin with an identifier path (a sentence, say) is withheld.
    """
    cut = re.search(r"[\[({]", name)
    head = name[: cut.start()].rstrip() if cut else name.strip()
    whole = _NODE.fullmatch(head)
    if whole is None:
        # Subtests of other runners hang the case behind a slash: TestSum/expects_42.
        first, slash, _ = head.partition("/")
        if slash and "::" not in head and re.fullmatch(_SEGMENT, first):
            return first + PARAMS
        return UNNAMED
    return head + (PARAMS if cut else "")


def known_paths(texts: Iterable[str]) -> frozenset[str]:
    """Return the paths and file names that occur in what the agent was told or did."""
    found: set[str] = set()
    for text in texts:
        for match in _candidates(text):
            found.add(match)
            found.add(match.rstrip("/").rpartition("/")[2])
    return frozenset(path for path in found if len(path) > 2)


def _mask_words(text: str) -> str:
    """Keep vocabulary words; a value begins after an introducer and ends at a pause."""
    shown: list[str] = []
    hiding = False
    for token in _WORD.findall(text):
        word = token.lower()
        if word in _RESUMERS:
            hiding = False
        if token in ",;":
            if shown and shown[-1] not in ",;":
                shown.append(token)
            continue
        if not hiding and word in _VOCABULARY:
            shown.append(word)
            hiding = word in _INTRODUCERS
            continue
        if not re.search(r"\w", token):
            hiding = hiding or "=" in token or ":" in token
            continue  # punctuation alone says nothing
        if not shown or shown[-1] != VALUE:
            shown.append(VALUE)
    while shown and shown[-1] in ",;":
        shown.pop()
    return re.sub(r"\s+([,;])", r"\1", " ".join(shown))


def mask_message(message: str, known: frozenset[str]) -> str:
    """Return the line of a failure's message that tells most, with every value masked.

    It is the last line of a traceback, pytest's first `E` line, else the first line. Empty
    when nothing but values would be left of it.

    Args:
        message: Such as `AssertionError: Expected: 42`, `assert 41 == 42` or a traceback.
        known: Paths that may be shown, from `known_paths`.
    """
    masked = _masked_line(_telling_line(message), known)
    return masked if _SAYS_SOMETHING.search(masked.replace(VALUE, "")) else ""


def _telling_line(message: str) -> str:
    lines = [line for line in message.splitlines() if line.strip()]
    if (said := next((line for line in lines if _PYTEST_SAYS.match(line)), None)) is not None:
        return said[1:].strip()
    lines = [line for line in lines if not _PHASE.match(line.strip())]
    traced = [at for at, line in enumerate(lines) if _TRACEBACK.match(line.strip())]
    if not traced:
        return lines[0].strip() if lines else ""
    # The frames are indented; the exception's own line is the next that is not.
    after = lines[traced[-1] + 1 :]
    return next((line for line in after if not line[0].isspace()), "")


def _masked_line(line: str, known: frozenset[str]) -> str:
    head, colon, rest = line.partition(":")
    name = head.strip().rpartition(".")[2]
    if re.fullmatch(_SEGMENT, name) and (name in _EXCEPTIONS or (colon and _RAISED.search(name))):
        shown = name if name in _EXCEPTIONS else "an exception"
        body = rest.strip()
    else:
        shown, body = "", line
    parts = [shown] if shown else []
    if body.startswith("assert "):
        operator = _OPERATOR.search(_QUOTED.sub(VALUE, body))
        compared = f"assert {VALUE} {operator.group(1)} {VALUE}" if operator else f"assert {VALUE}"
        parts.append(compared)
    elif body:
        masked = _mask_words(_QUOTED.sub(f" {VALUE} ", body))
        if masked:
            parts.append(masked)
    # A path may be the answer of a comparison; it is shown only where something is not there.
    paths = sorted(_candidates(line) & known) if _is_about_absence(shown, body) else []
    text = ": ".join(parts)
    return f"{text} (concerns {', '.join(paths)})" if paths else text


def _is_about_absence(exception: str, body: str) -> bool:
    raised = getattr(builtins, exception, None) if exception in _EXCEPTIONS else None
    if isinstance(raised, type) and issubclass(raised, OSError):
        return True
    words = set(re.findall(r"[a-z]+", body.lower()))
    compares = words & {"expected", "got", "actual", "should", "be", "equal", "equals", "assert"}
    return not compares and bool(words & {"missing", "exist", "exists", "found"})


def without_long_words(text: str) -> str:
    """Return a text with a blank where something is longer than a path or a word can be."""
    return _TOO_LONG.sub(" ", text)


def _candidates(line: str) -> set[str]:
    words = without_long_words(line)
    return {match for pattern in (_PATH, _ABSOLUTE) for match in pattern.findall(words)}


def mask_output(output: str, known: frozenset[str]) -> str:
    """Return the lines of a verifier's output that may be shown, each rebuilt from safe parts."""
    shown: list[str] = []
    in_failure = False  # only the first `E` line of a block: later ones continue a value

    def add(line: str) -> None:
        if line and line not in shown:
            shown.append(line)

    for raw in output.splitlines():
        line = raw[:_LONGEST_LINE].rstrip()
        stripped = line.strip()
        if _PYTEST_SAYS.match(line):
            if not in_failure:
                add(mask_message(line[1:].strip(), known))
            in_failure = True
            continue
        in_failure = False
        if heading := _HEADING.match(stripped):
            name = strip_parameters(heading.group(1))
            if name != UNNAMED and "test" in name.lower():
                add(f"--- {name}")
        elif summary := _SUMMARY.match(stripped):
            add(_summary_line(summary.group(1), summary.group(2), known))
        elif status := _SUMMARY_STATUS.match(stripped):
            add(f"{status.group(2)} {strip_parameters(status.group(1))}")
        elif location := _LOCATION.match(stripped):
            if location.group(1) in _EXCEPTIONS:
                add(f"raised {location.group(1)}")
        elif _PLAIN.match(stripped) and (masked := mask_message(stripped, known)):
            add(f"reported: {masked}")
    return "\n".join(shown)


def _summary_line(status: str, rest: str, known: frozenset[str]) -> str:
    """Rebuild `FAILED path::name[params] - message`; parameters may hold ' - ' themselves."""
    name = strip_parameters(
        rest.partition("[")[0] + "[" if "[" in rest else rest.partition(" - ")[0]
    )
    _, dash, message = rest.rpartition(" - ")
    if not dash or "]" in message:
        return f"{status} {name}"
    masked = mask_message(message, known)
    return f"{status} {name} - {masked}" if masked else f"{status} {name}"
