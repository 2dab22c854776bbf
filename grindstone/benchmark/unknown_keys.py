"""Keys of a task.toml that nothing reads, and which of them may be a limit that is misspelled.

An unknown key is ignored, as Harbor ignores it; but a misspelled limit would be no limit. A key
that resembles one of `LIMITS`, or the section of one, is therefore a fault of the task, and so
is one that speaks of the network in words of its own.
"""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple, get_args

from pydantic import AliasChoices, BaseModel

from grindstone.benchmark.schema import TaskFile

LIMITS = frozenset(
    {
        *(
            "allow_internet",
            "network_mode",
            "network",
            "allowed_hosts",
            "cpus",
            "memory",
            "memory_mb",
            "gpus",
        ),
        *("storage", "storage_mb", "pids", "pids_limit", "keep_processes", "environment_mode"),
        *("environment", "verifier"),
    }
)
_ONLINE = frozenset({"allow_internet", "network_mode", "network"})
_NETWORK_WORDS = {"internet", "network", "offline", "online", "egress", "firewall", "hosts"}
_FREE_FORM = {"metadata", "env"}
_DESCRIBING = {"task"}
"""Sections that say what a task is called; only a key that resembles one of theirs is told of."""
_HARBORS_OWN = frozenset(
    {"version", "schema_version", "source", "authors", "gpu_types", "multi_step_reward_strategy"}
)
"""Keys that Harbor knows, and that change nothing here."""

_ALIKE = 0.8  # difflib's ratio: one letter missing, doubled, swapped or wrong in a short word


class UnknownKey(NamedTuple):
    """A key that is read by nothing."""

    field: str  # dotted, as written
    nearest: str  # the dotted key it resembles; empty without one
    is_limit: bool  # it may be meant as a limit

    @property
    def problem(self) -> str:
        """What is wrong with it, for a person."""
        meant = f"; is {self.nearest} meant?" if self.nearest else ""
        return f"is no key of task.toml and has no effect{meant}"


def unknown_keys(document: Mapping[str, Any]) -> tuple[UnknownKey, ...]:
    """Return a parsed task.toml's unknown keys in its own order; free-form tables apart."""
    return tuple(_unknown(TaskFile, document, ""))


def _unknown(
    section: type[BaseModel], table: Mapping[str, Any], prefix: str
) -> Iterator[UnknownKey]:
    known = _names(section)
    for key, value in table.items():
        field = f"{prefix}{key}"
        if key in known:
            inner = known[key]
            if inner is not None and key not in _FREE_FORM and isinstance(value, dict):
                yield from _unknown(inner, value, f"{field}.")
        elif key not in _HARBORS_OWN:
            judged = _judged(key, known, prefix, field)
            if judged.nearest or prefix.rstrip(".") not in _DESCRIBING:
                yield judged


def _judged(
    key: str, known: Mapping[str, type[BaseModel] | None], prefix: str, field: str
) -> UnknownKey:
    alike = _nearest(key, known)
    if alike:
        return UnknownKey(field, f"{prefix}{alike}", is_limit=alike in LIMITS)
    elsewhere = _nearest(key, _ONLINE)  # at the top, or in [agent]
    speaks = not _NETWORK_WORDS.isdisjoint(re.split(r"[^a-z]+", _spaced(key)))
    if elsewhere or speaks:
        return UnknownKey(field, f"environment.{elsewhere or 'allow_internet'}", is_limit=True)
    return UnknownKey(field, "", is_limit=False)


def _nearest(key: str, known: Mapping[str, Any] | frozenset[str]) -> str:
    plain = {re.sub(r"[^a-z0-9]", "", name): name for name in known}
    wanted = re.sub(r"[^a-z0-9]", "", key.lower())
    close = get_close_matches(wanted, plain, n=1, cutoff=_ALIKE)
    return plain[close[0]] if close else ""


def _spaced(key: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower()


def _names(section: type[BaseModel]) -> dict[str, type[BaseModel] | None]:
    """Return the keys a section takes, older spellings too, each with its section, if any."""
    found: dict[str, type[BaseModel] | None] = {}
    for name, field in section.model_fields.items():
        kinds = (field.annotation, *get_args(field.annotation))
        inner = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)
        found[name] = inner
        if isinstance(field.validation_alias, AliasChoices):
            found |= {str(choice): inner for choice in field.validation_alias.choices}
    return found
