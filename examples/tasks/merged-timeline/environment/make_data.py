"""Writes the rotated logs of a service that ran in several time zones."""

import gzip
import random
import sys
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

TEXTS = ["request served", "upstream slow", "disk at 81%", "connection reset", "login ok", "queue full"]
LEVELS = ["INFO"] * 5 + ["WARN"] * 2 + ["ERROR"] * 3
STYLES = [330, "epoch", "Z", -180]
START = datetime(2026, 5, 30, 20, 0, 0, tzinfo=timezone.utc)
FILES = ["worker.log.3.gz", "worker.log.2", "worker.log.1.gz", "worker.log"]


def events(seed=80085, count=600):
    """Return (UTC time, level, text) in order of time; no two share a second."""
    draw = random.Random(seed)
    now = START
    found = []
    for number in range(count):
        now += timedelta(seconds=draw.randrange(1, 150))
        found.append((now, draw.choice(LEVELS), f"{draw.choice(TEXTS)} #{number:04}"))
    return found


def stamp(at, style):
    """Return the time as the host of that part wrote it."""
    if style == "epoch":
        return str(int(at.timestamp()))
    if style == "Z":
        return f"{at:%Y-%m-%dT%H:%M:%SZ}"
    hours = timezone(timedelta(minutes=style))
    return at.astimezone(hours).strftime("%Y-%m-%dT%H:%M:%S%z")


def parts():
    """Return the lines of each part, oldest first; neighbours overlap by a few lines."""
    found = events()
    size = len(found) // len(FILES)
    for number, style in enumerate(STYLES):
        first = number * size - (7 if number else 0)
        last = len(found) if number == len(FILES) - 1 else (number + 1) * size
        chunk = found[max(0, first) : last]
        yield [(at, f"{stamp(at, style)} {level} {text}") for at, level, text in chunk]


def errors_per_hour():
    """Return the errors of each UTC hour, every event counted once."""
    return dict(Counter(f"{at:%Y-%m-%dT%H}" for at, level, _ in events() if level == "ERROR"))


def timeline():
    """Return every event once, in order of time, as UTC lines."""
    return [f"{at:%Y-%m-%dT%H:%M:%SZ} {level} {text}" for at, level, text in events()]


def main(root):
    folder = Path(root) / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in zip(FILES, parts()):
        data = "".join(f"{line}\n" for _, line in lines).encode()
        packed = gzip.compress(data, mtime=0) if name.endswith(".gz") else data
        (folder / name).write_bytes(packed)


if __name__ == "__main__":
    main(sys.argv[1])
