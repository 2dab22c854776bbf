"""What in a verifier's leavings contradicts itself.

A program of the agent that the tests run has their rights: it can write a reward as they can.
It cannot easily make everything else agree with it. What disagrees with a reward above nothing
is a reason to hear the tests again; a reward of nothing is doubted by nobody.
"""

import signal
from collections.abc import Mapping

from grindstone.benchmark.reports import Report
from grindstone.benchmark.rewards import REWARD_JSON, REWARD_TEXT, RewardError, read_reward
from grindstone.benchmark.scoring import FULL

_TOLERANCE = 1e-3
"""Two files may round differently."""


def doubts(
    files: Mapping[str, bytes], reward: float, report: Report, exit_code: int
) -> tuple[str, ...]:
    """Return what speaks against a reward, empty where nothing does.

    Args:
        files: The verifier's log folder.
        reward: What was read from it.
        report: The tests' own report.
        exit_code: Of test.sh; above 128 it was ended by a signal.
    """
    if reward <= 0:
        return ()
    found = []
    if REWARD_JSON in files and REWARD_TEXT in files:
        said = _alone(files, REWARD_TEXT)
        if said is None or abs(said - reward) > _TOLERANCE:
            shown = "no number" if said is None else f"{said:g}"
            found.append(f"{REWARD_JSON} says {reward:g} and {REWARD_TEXT} says {shown}")
    failed = [test.name for test in report.tests if test.status in ("failed", "error")]
    if reward >= FULL and report.from_files and failed:
        found.append(
            f"a full reward, and {len(failed)} of {len(report.tests)} tests failed: {failed[0]}"
        )
    if exit_code > 128:
        found.append(f"test.sh was ended by {_signal(exit_code - 128)}")
    return tuple(found)


def _alone(files: Mapping[str, bytes], name: str) -> float | None:
    try:
        return read_reward({name: files[name]})
    except RewardError:
        return None


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
