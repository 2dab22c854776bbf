"""From a verifier's reward to a score.

reward   The reward as the verifier gave it: partial credit stays partial.
binary   All or nothing: 1 for a full reward; also 1 where the reward is above 0 and the
         verifier's own report lists at least one test, every one of them passed (a reward
         of 0.999 after rounding, or one that also weighs speed). A skipped test is not
         passed. A reward of 0 is never lifted, whatever the tests say.
dual     The larger of the two.

An attempt has passed when its score under the mode is 1.
"""

from collections.abc import Sequence

from grindstone.records import TestResult, Verdict
from grindstone.settings import ScoreMode

FULL = 1.0 - 1e-9
"""A reward from here on is full: verifiers add up floating-point weights."""


def is_pass(reward: float, reported: Sequence[TestResult], mode: ScoreMode) -> bool:
    """Return whether an attempt passed.

    Args:
        reward: What the verifier gave, in [0, 1].
        reported: Tests of the verifier's report files (not those read from its output,
            which what it tests could have printed).
        mode: How scores are taken.
    """
    if reward >= FULL:
        return True
    if mode is ScoreMode.REWARD:
        return False
    return reward > 0 and bool(reported) and all(test.status == "passed" for test in reported)


def score_of(verdict: Verdict, mode: ScoreMode) -> float:
    """Return the score in [0, 1] of a verdict that was given under the same mode."""
    match mode:
        case ScoreMode.REWARD:
            return verdict.reward
        case ScoreMode.BINARY:
            return float(verdict.passed)
        case ScoreMode.DUAL:
            return max(verdict.reward, float(verdict.passed))
