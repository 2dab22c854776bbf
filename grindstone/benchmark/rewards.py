"""Reading the reward a verifier left in its log folder.

Harbor's rule: reward.json when it is there, an object whose numbers are rewards; else
reward.txt, one number. The reward is the key "reward"; without it reward.txt, and without
that the only number of the object. Where it is the reward, true is 1 and false is 0. Several
numbers and no "reward" are refused rather than averaged: nobody said what they weigh.
"""

import json
import math
from collections.abc import Mapping

REWARD_JSON = "reward.json"
REWARD_TEXT = "reward.txt"
_LIMIT_BYTES = 1_000_000


class RewardError(ValueError):
    """No usable reward; the message says what was found instead."""


class RewardMissingError(RewardError):
    """Neither file is there."""


def read_reward(files: Mapping[str, bytes]) -> float:
    """Return the reward, in [0, 1].

    Raises:
        RewardMissingError: There is no reward file.
        RewardError: What is there is not a number in [0, 1].
    """
    if REWARD_JSON in files:
        found = _from_json(files)
    elif REWARD_TEXT in files:
        found = _from_text(files[REWARD_TEXT])
    else:
        raise RewardMissingError(f"it left neither {REWARD_TEXT} nor {REWARD_JSON}")
    return found


def _from_json(files: Mapping[str, bytes]) -> float:
    content = files[REWARD_JSON]
    if len(content) > _LIMIT_BYTES:
        raise RewardError(f"{REWARD_JSON} has {len(content)} bytes")
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RewardError(f"{REWARD_JSON} is not JSON: {_shown(content)}") from error
    if isinstance(value, bool | int | float):
        return _checked(value, REWARD_JSON)
    if not isinstance(value, dict):
        raise RewardError(f"{REWARD_JSON} is neither an object nor a number: {_shown(content)}")
    if "reward" in value:
        if not isinstance(value["reward"], bool | int | float):
            raise RewardError(f"{REWARD_JSON}: reward is {value['reward']!r}, not a number")
        return _checked(value["reward"], f"{REWARD_JSON}: reward")
    if REWARD_TEXT in files:
        return _from_text(files[REWARD_TEXT])
    numbers = {key: number for key, number in value.items() if _is_number(number)}
    if len(numbers) != 1:
        raise RewardError(f"{REWARD_JSON} has no key 'reward' but {sorted(value)[:10]}")
    ((key, number),) = numbers.items()
    return _checked(number, f"{REWARD_JSON}: {key}")


def _from_text(content: bytes) -> float:
    if len(content) > _LIMIT_BYTES:
        raise RewardError(f"{REWARD_TEXT} has {len(content)} bytes")
    text = content.decode("utf-8", errors="replace").strip()
    # float() also reads "1_0" and non-ASCII digits, which no verifier means.
    if not text.isascii() or "_" in text:
        raise RewardError(f"{REWARD_TEXT} is not a number: {_shown(content)}")
    try:
        value = float(text)
    except ValueError as error:
        raise RewardError(f"{REWARD_TEXT} is not a number: {_shown(content)}") from error
    return _checked(value, REWARD_TEXT)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _checked(value: float, where: str) -> float:
    # Compared first: converting a JSON integer of a thousand digits overflows.
    if not 0 <= value <= 1 or not math.isfinite(value):
        raise RewardError(f"{where} is {str(value)[:40]}, outside [0, 1]")
    return float(value) + 0.0  # no negative zero


def _shown(content: bytes) -> str:
    return repr(content[:80].decode("utf-8", errors="replace"))
