"""Dates and times of day in one spelling, whatever parts their numbers, or nothing.

A date becomes `2026-05-30`; what follows it, its hours, minutes and seconds, become numbers of
their own, so that a time is the same with colons, with blanks, with letters or without any.
Where day and month could be each other, the day is taken to come first.
"""

import re
from datetime import UTC, datetime

_YEAR = r"(?P<year>(?:19|20)\d\d)"
_MONTH, _DAY = r"(?P<month>0?[1-9]|1[0-2])", r"(?P<day>0?[1-9]|[12]\d|3[01])"
_PART = r"(?:[^\w\n]{1,3}|_)"
_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAME = rf"(?P<name>{'|'.join(_NAMES)})(?:[a-z]{{0,6}})"
_TH = r"(?:st|nd|rd|th)?"
_CLOCK = r"([01]\d|2[0-3])(?:([0-5]\d)([0-5]\d)?)?"

_BEGINS = r"(?<![^\W_])(?<!\d[.,])"
_BEGINS_SMALL = rf"{_BEGINS}(?<![-/])"  # not within a date that its year begins
_ENDS = r"(?!\d)"

_DATES = tuple(
    re.compile(pattern + _ENDS)
    for pattern in (
        rf"{_BEGINS}{_YEAR}{_PART}{_MONTH}{_PART}{_DAY}",
        rf"{_BEGINS}{_YEAR}(?P<month>0[1-9]|1[0-2])(?P<day>0[1-9]|[12]\d|3[01])"
        r"(?P<clock>[t_-]?(?:[01]\d|2[0-3])(?:[0-5]\d){0,2})?",
        rf"{_BEGINS_SMALL}{_DAY}{_PART}{_MONTH}{_PART}{_YEAR}",
        rf"{_BEGINS_SMALL}{_MONTH}{_PART}{_DAY}{_PART}{_YEAR}",
        rf"{_BEGINS_SMALL}{_DAY}{_TH}{_PART}(?:of )?{_NAME}{_PART}{_YEAR}",
        rf"{_BEGINS}{_NAME}{_PART}(?:the{_PART})?{_DAY}{_TH}{_PART}{_YEAR}",
        rf"{_BEGINS}{_YEAR}{_PART}{_NAME}{_PART}{_DAY}",
    )
)
_HAS_YEAR = re.compile(r"(?:19|20)\d\d")
_AFTER_DATE = re.compile(rf"(?<=\d{{4}}-\d\d-\d\d)(?:[t_-]?{_CLOCK}(?!\d)|[t_:](?=\d\d?(?!\d)))")
_LETTERED = re.compile(r"(?<!\d)(\d\d?)h(\d\d)(?:m(?:in)?)?(?:(\d\d)s?)?(?![^\W_])")
_ZONE = re.compile(r"(?<=\d\d)(?:z| ?(?:utc|gmt|[+-]00:?00))(?![^\W_])")
_EPOCH = re.compile(r"(?<![\w.,])1\d{9}(?![\w.,]\d)")
_HALF_DAY = re.compile(r"(?<!\d)(1[0-2]|0?[1-9])((?::[0-5]\d){0,2}) ?([ap])\.?m(?![^\W_])")
_LONE_CLOCK = re.compile(r"(?<![\w.,])([01]\d|2[0-3])([0-5]\d)([0-5]\d)(?![\w.,]\d)")


def dated(line: str) -> str:
    """Return a line in lower case with its dates and times in the one spelling."""
    line = _ZONE.sub(" ", line)
    if _HAS_YEAR.search(line):
        for pattern in _DATES:
            line = pattern.sub(_date, line)
        line = _AFTER_DATE.sub(_apart, line)
    return _LETTERED.sub(_apart, line)


def clocked(line: str) -> str:
    """Return a line whose numbers that could be a time are one.

    Six digits may be a time of day, ten the seconds since 1970, and hours may be told in halves.
    """
    line = _HALF_DAY.sub(_of_half, _EPOCH.sub(_of_epoch, line))
    return _LONE_CLOCK.sub(_apart, line)


def _of_epoch(found: re.Match[str]) -> str:
    return datetime.fromtimestamp(int(found.group()), UTC).strftime("%Y-%m-%dt%H:%M:%S")


def _of_half(found: re.Match[str]) -> str:
    hour = int(found[1]) % 12 + (12 if found[3] == "p" else 0)
    return f"{hour:02}{found[2] or ''}"


def _date(found: re.Match[str]) -> str:
    parts = found.groupdict()
    name = parts.get("name")
    month = _NAMES.index(name) + 1 if name else int(parts["month"])
    return f"{parts['year']}-{month:02}-{int(parts['day']):02}{parts.get('clock') or ''}"


def _apart(found: re.Match[str]) -> str:
    return " " + " ".join(part for part in found.groups() if part) + " "
