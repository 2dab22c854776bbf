"""The viewer's addresses: which document is where."""

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from pydantic import BaseModel, JsonValue

from grindstone.errors import InputError
from grindstone.home import Home
from grindstone.report.run_diff import diff_runs
from grindstone.settings import FeedbackLevel
from grindstone.view.attempt import (
    atif_document,
    attempt_document,
    calls_document,
    steps_document,
    whole_document,
)
from grindstone.view.cached import CachedLedger
from grindstone.view.runs import run_document, runs_document
from grindstone.view.search import search_document
from grindstone.view.skills import skill_document, skills_document
from grindstone.view.trends import trends_document


class Sought(NamedTuple):
    """What stands in an address, in the places of its stars, and behind its question mark."""

    names: tuple[str, ...]
    query: Mapping[str, str]

    def number(self, place: int) -> int:
        """Return the name at a place as a number.

        Raises:
            InputError: It is none.
        """
        if re.fullmatch("[0-9]{1,9}", self.names[place]) is None:
            raise InputError(self.names[place], "is no number", "one of up to nine digits")
        return int(self.names[place])


Found = BaseModel | dict[str, JsonValue]


class Site:
    """A home as the viewer shows it; nothing here writes."""

    def __init__(
        self,
        home: Home,
        *,
        level: FeedbackLevel = FeedbackLevel.FULL,
        runs: Collection[str] | None = None,
        prefect: str = "",
    ) -> None:
        """Open a home.

        Args:
            home: Whose ledger is shown.
            level: How much of the verifier's word its readers may see.
            runs: Those alone; None: all.
            prefect: Where, from the viewer, Prefect's server is; empty: nowhere.
        """
        self.home = home
        self.ledger = ledger = CachedLedger(home, only=runs)
        self._addresses: dict[str, Callable[[Sought], Found]] = {
            "home": lambda _: {"name": home.root.name, "prefect": prefect},
            "runs": lambda _: runs_document(ledger),
            "trends": lambda _: trends_document(ledger),
            "run/*": lambda asked: run_document(ledger, *asked.names),
            "episode/*": lambda asked: attempt_document(ledger, asked.names[0], level),
            "episode/*/steps/*": lambda asked: steps_document(
                ledger, asked.names[0], asked.number(1)
            ),
            "episode/*/calls": lambda asked: calls_document(ledger, *asked.names),
            "episode/*/whole": lambda asked: whole_document(ledger, asked.names[0], level),
            "episode/*/atif": lambda asked: atif_document(ledger, *asked.names),
            "diff/*/*": lambda asked: diff_runs(ledger, *asked.names),
            "skills": lambda _: skills_document(ledger),
            "skill/*/*": lambda asked: skill_document(ledger, *asked.names),
            "search": lambda asked: search_document(
                ledger, asked.query.get("text", ""), asked.query.get("run") or None
            ),
        }

    def document(self, address: str, query: Mapping[str, str] | None = None) -> bytes:
        """Return the JSON at an address, such as `run/KEY` or `episode/ID/steps/0`.

        Raises:
            InputError: Nothing is there.
            LedgerError: The ledger cannot be read.
        """
        parts = address.split("/")
        for pattern, find in self._addresses.items():
            wanted = pattern.split("/")
            if len(wanted) == len(parts) and all(
                name in ("*", part) for name, part in zip(wanted, parts, strict=True)
            ):
                names = tuple(p for name, p in zip(wanted, parts, strict=True) if name == "*")
                found = find(Sought(names, query or {}))
                if isinstance(found, BaseModel):
                    return found.model_dump_json().encode()
                return json.dumps(found, ensure_ascii=False).encode()
        raise InputError(address, "is no address of the viewer", "one that a page links to")
