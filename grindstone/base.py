"""The base class of every record that crosses a module border."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, model_validator


class Frozen(BaseModel):
    """An immutable record that refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PlainNumbers(BaseModel):
    """Of a record that people write: `true` and `false` are no numbers."""

    @model_validator(mode="before")
    @classmethod
    def _are_no_truth_values(cls, given: object) -> object:
        for name, value in given.items() if isinstance(given, dict) else ():
            if name in cls.model_fields and _holds_truth(value) and not _takes_truth(cls, name):
                raise ValueError(f"{name}: is true or false, and no number or text")
        return given


def _holds_truth(value: object) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return any(map(_holds_truth, value))
    return isinstance(value, bool)


@lru_cache(maxsize=1024)
def _takes_truth(model: type[BaseModel], name: str) -> bool:
    return any(map(_may_be_truth, _leaves(model.model_fields[name].annotation)))


def _leaves(annotation: object) -> Iterator[object]:
    inside = get_args(annotation)
    if get_origin(annotation) is Annotated:
        inside = inside[:1]
    if get_origin(annotation) is Literal or not inside:
        yield annotation
        return
    for each in inside:
        yield from _leaves(each)


def _may_be_truth(kind: object) -> bool:
    """Whether a truth value fits, or is looked for by a record inside."""
    plain = isinstance(kind, type) and not issubclass(kind, bool | BaseModel)
    return not (plain or get_origin(kind) is Literal or kind is Ellipsis)
