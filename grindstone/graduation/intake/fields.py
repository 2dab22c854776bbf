"""What a field of told work may hold: moments, ids, records that the ledger can keep."""

import json
import unicodedata
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, JsonValue

from grindstone.errors import InputError
from grindstone.graduation.audit.standing import agent_name
from grindstone.untrusted import UntrustedError, read_json

ID_CHARS = 200
UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def _agent(name: str) -> str:
    try:
        return agent_name(name)
    except InputError as error:
        raise ValueError(str(error)) from error


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is beyond the years 1 to 9999 in UTC") from error


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A time with a zone, as the ledger can keep it."""


def _to_keep(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Refuse what the ledger could not keep, or give back otherwise."""
    try:
        read_json(json.dumps(value, ensure_ascii=False).encode())
    except (UnicodeEncodeError, UntrustedError, RecursionError) as error:
        said = "holds half a character" if isinstance(error, UnicodeEncodeError) else str(error)
        raise ValueError(said) from error
    return value


JsonFields = Annotated[dict[str, JsonValue], AfterValidator(_to_keep)]
"""Fields of somebody's own, as JSON has them."""


def _id(value: str) -> str:
    seen = all(unicodedata.category(each) not in UNSEEN for each in value)
    if value != value.strip() or len(value) > ID_CHARS or not seen:
        raise ValueError(f"is no id of at most {ID_CHARS} printable characters")
    return value


AgentId = Annotated[str, AfterValidator(_agent)]
EpisodeId = Annotated[str, AfterValidator(_id)]
