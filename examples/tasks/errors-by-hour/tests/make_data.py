"""Writes one orderly log; the same seed gives the same log everywhere."""

import random
import sys
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

WORDS = ["cache refreshed", "order stored", "retrying", "no answer from ERROR queue", "done", "timeout"]
LEVELS = ["INFO"] * 6 + ["WARN"] * 2 + ["ERROR"] * 3


def events(seed=31337, count=400):
    """Return (time, level, text) in order."""
    draw = random.Random(seed)
    now = datetime(2026, 3, 1, 9, 0, 0)
    for _ in range(count):
        now += timedelta(seconds=draw.randrange(1, 240))
        level = draw.choice(LEVELS)
        text = draw.choice([w for w in WORDS if level == "ERROR" or "ERROR" not in w])
        yield now, level, text


def expected():
    """Return the errors of each hour."""
    return dict(Counter(f"{at:%Y-%m-%dT%H}" for at, level, _ in events() if level == "ERROR"))


def main(root):
    folder = Path(root) / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{at:%Y-%m-%dT%H:%M:%SZ} {level} {text}\n" for at, level, text in events()]
    (folder / "service.log").write_text("".join(lines))


if __name__ == "__main__":
    main(sys.argv[1])
