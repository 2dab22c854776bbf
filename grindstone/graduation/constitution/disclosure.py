"""What leaves the house: words to a person, messages, and calls that send something out."""

import re
from enum import IntEnum
from typing import NamedTuple

from grindstone.graduation.constitution.as_seen import decoded
from grindstone.graduation.constitution.material import SPOKEN, Action
from grindstone.graduation.constitution.reading import snake, strings

_OUT = frozenset(
    [
        "send",
        "post",
        "share",
        "export",
        "email",
        "mail",
        "publish",
        "upload",
        "message",
        "notify",
        "tweet",
        "reply",
        "fax",
        "sms",
        "text",
        "forward",
        "broadcast",
        "announce",
        "transmit",
        "submit",
        "respond",
        "answer",
        "say",
        "comment",
    ]
)
_IN = frozenset(
    [
        "read",
        "open",
        "get",
        "find",
        "search",
        "lookup",
        "list",
        "query",
        "fetch",
        "load",
        "check",
        "verify",
        "review",
        "sign",
        "save",
        "file",
        "draft",
        "note",
        "write",
        "update",
        "record",
        "store",
        "create",
        "edit",
        "select",
        "match",
        "retrieve",
        "view",
        "show",
        "schedule",
        "compute",
        "calculate",
        "delete",
        "log",
        "insert",
    ]
)
_SENDING_COMMAND = re.compile(r"\b(curl|wget|mail|mailx|sendmail|scp|rsync|nc|ftp|sftp|mutt)\b")
_TO_FIELD = re.compile(
    r"^(to|cc|bcc|recipients?|receiver|destination|send_to|mail_to|email|channel)(_|$)"
)
_FREE_MAIL = re.compile(
    r"@(gmail|googlemail|yahoo|hotmail|outlook|live|icloud|aol|proton(mail)?|gmx|mail|ymail)\.",
    re.I,
)
_RECORD = re.compile(r"record|chart|patient|note|lab|result|referral|history|image|phi", re.I)


class Leaves(IntEnum):
    """Whether something leaves the house."""

    NO = 0
    UNKNOWN = 1
    YES = 2


class Told(NamedTuple):
    """The words of an action that leave, or may leave."""

    text: str
    leaves: Leaves


def told_by(action: Action) -> Told:
    """Return what an action tells, and whether that leaves the house."""
    if not action.tool or action.tool in SPOKEN:
        return Told("\n".join(_words(action)), Leaves.YES)
    words = set(snake(action.tool).split("_"))
    text = "\n".join(_words(action))
    if words & _OUT or _SENDING_COMMAND.search(text.partition("\n")[0]):
        return Told(text, Leaves.YES)
    return Told(text, Leaves.NO if words & _IN else Leaves.UNKNOWN)


def _words(action: Action) -> list[str]:
    # A field's name is part of what is told: {"mrn": "8812345"} is "mrn: 8812345".
    fields = [
        f"{name.replace('_', ' ')}: {text}" if name else text
        for name, text in strings(action.fields)
    ]
    said = [part for part in (action.text, *fields) if part]
    return [*said, *(words for part in said for words in decoded(part))]


def sent_outside(action: Action) -> tuple[str, Leaves]:
    """Return to whom an action sends records, and whether that is outside the house.

    A recipient called external and an address at a public mail service are outside; whether
    another address is, the house would have to say.
    """
    if not set(snake(action.tool).split("_")) & _OUT:
        return "", Leaves.NO
    to = [text for name, text in strings(action.fields) if _TO_FIELD.match(name)]
    if not to:
        return "", Leaves.NO
    what = f"{action.tool} {' '.join(text for _, text in strings(action.fields))}"
    records = bool(_RECORD.search(what.replace("_", " ")))
    for each in to:
        if "external" in each.lower() or _FREE_MAIL.search(each):
            return each, Leaves.YES if records else Leaves.UNKNOWN
    for each in to:
        if "@" in each and "internal" not in each.lower():
            return each, Leaves.UNKNOWN if records else Leaves.NO
    return "", Leaves.NO
