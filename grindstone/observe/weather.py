"""Signs that a failure came from the surroundings: networks, time limits, services that were down.

They prove nothing, and an agent may have brought them about; they are grounds to try again before
a failure teaches anything. What is recognised: commands that failed and said so, commands and
attempts ended at a time limit, and failed tests that name a network's or a service's fault. What
is not: such words in the output of a command that succeeded, which may be a log's content.
"""

import re

from grindstone.observe.calls import calls_of, error_excerpt
from grindstone.records import StopReason, Trajectory, Verdict

_FAULTS = re.compile(
    r"could not resolve host|temporary failure in name resolution|name or service not known"
    r"|EAI_AGAIN|getaddrinfo|no route to host|network is unreachable"
    r"|connection (?:refused|reset|timed out|aborted|closed)|ECONN(?:REFUSED|RESET)|ETIMEDOUT"
    r"|(?:read|connect|operation|handshake|gateway|request) time(?:d )?[ -]?out"
    r"|\b(?:429 too many requests|50[234] (?:bad gateway|service unavailable|gateway time-?out))"
    r"|service (?:is )?(?:temporarily )?unavailable|temporarily unavailable|try again later"
    r"|no space left on device|resource temporarily",
    re.IGNORECASE,
)
_CHARS = 120


def weather_of(trajectory: Trajectory, verdict: Verdict | None = None) -> tuple[str, ...]:
    """Return the signs of an attempt, in words, each once.

    Args:
        trajectory: What it did.
        verdict: What its tests said; None where labels are not to be looked at.
    """
    signs: dict[str, None] = {}
    if trajectory.stop_reason is StopReason.TIME_LIMIT:
        signs["the attempt ran out of time"] = None
    for call in calls_of(trajectory):
        if call.output is None or not call.failed:
            continue
        if call.output.timed_out:
            signs["a command ran out of time"] = None
        elif found := _FAULTS.search(call.output.content):
            signs[_words(call.output.content, found)] = None
    for test in () if verdict is None or verdict.passed else verdict.tests:
        if test.status in ("failed", "error") and (found := _FAULTS.search(test.message)):
            signs[f"a test: {found[0].lower()}"] = None  # no more of it: it may quote the test
    return tuple(signs)


def _words(content: str, found: re.Match[str]) -> str:
    line = content[content.rfind("\n", 0, found.start()) + 1 :].partition("\n")[0]
    return error_excerpt(line, _CHARS)
