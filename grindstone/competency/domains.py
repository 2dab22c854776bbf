"""Which domain a task belongs to: by tag, by keyword, by asking a model."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from pydantic import JsonValue

from grindstone.boundary import step_boundary
from grindstone.competency.checking import check_names, folded, number
from grindstone.errors import InputError, InternalError
from grindstone.llm.messages import CallSite, Message, Model, Request, Text
from grindstone.prompts import template
from grindstone.records import Role
from grindstone.text import quoted
from grindstone.untrusted import read_json_answer

UNKNOWN = "unknown"
CONFIDENT = 0.6
"""Below it a guess is not taken, and the next method is asked."""
MOST_TASK_CHARS = 20_000
_MAX_OUTPUT_TOKENS = 512


class TaskText(NamedTuple):
    """A task as far as its domain depends on it."""

    text: str
    tags: tuple[str, ...] = ()


class DomainGuess(NamedTuple):
    """A domain (None: no idea) and how sure the method is, from 0 to 1."""

    domain: str | None
    confidence: float
    method: str


class DomainClassifier(Protocol):
    """One method; below its own bound a guess is not taken."""

    min_confidence: float

    async def classify(self, asked: TaskText) -> DomainGuess:
        """Return the method's guess."""
        ...


class TagClassifier:
    """The domain that one of the task's tags names, or its category given as a tag."""

    min_confidence = 1.0

    def __init__(self, domains: Iterable[str]) -> None:
        """Name the domains."""
        self._known = {folded(name): name for name in check_names(domains)}

    async def classify(self, asked: TaskText) -> DomainGuess:
        """Return the first tag that is a domain."""
        named = (self._known.get(folded(tag)) for tag in asked.tags)
        found = next((name for name in named if name is not None), None)
        return DomainGuess(found, 1.0 if found else 0.0, "tag")


class KeywordClassifier:
    """The domain whose words the text has most of.

    A keyword counts 1, a domain's name counts 1 in all; confidence is the best domain's share
    of what was counted for all of them, so a tie of two has 0.5.
    """

    def __init__(
        self,
        domains: Iterable[str],
        keywords: Mapping[str, Iterable[str]] | None = None,
        *,
        min_confidence: float = CONFIDENT,
    ) -> None:
        """Name the domains and, where their names alone do not tell, words that do.

        Raises:
            InputError: Keywords are given for what is no domain.
        """
        names = check_names(domains)
        given = keywords or {}
        if stranger := next((name for name in given if name not in names), None):
            expected = f"one of {', '.join(names)}"
            raise InputError("keywords", f"{stranger!r} is no domain", expected)
        self.min_confidence = number("min_confidence", min_confidence, low=0.0, high=1.0)
        self._names = {name: words_of(name) for name in names}
        self._keywords = {
            name: {frozenset(words_of(word)) for word in given.get(name, ())} - {frozenset()}
            for name in names
        }

    async def classify(self, asked: TaskText) -> DomainGuess:
        """Return the domain with the most words in the text."""
        present = words_of(asked.text)
        counts = {
            name: len(own & present) / max(1, len(own))
            + sum(phrase <= present for phrase in self._keywords[name])
            for name, own in self._names.items()
        }
        total = sum(counts.values())
        if not total:
            return DomainGuess(None, 0.0, "keyword")
        best = max(counts, key=lambda name: counts[name])
        return DomainGuess(best, counts[best] / total, "keyword")


class LLMDomainClassifier:
    """Asks a model, with the answer's form prescribed; its confidence is bound by a floor."""

    def __init__(
        self,
        model: Model,
        domains: Iterable[str] | Mapping[str, str],
        *,
        min_confidence: float = CONFIDENT,
        scope: str = "route",
    ) -> None:
        """Name the domains.

        Args:
            model: Who is asked.
            domains: Names, or descriptions by name.
            min_confidence: Below it the answer counts as "unknown".
            scope: Of the model's calls, for journal and cost.
        """
        told = domains if isinstance(domains, Mapping) else dict.fromkeys(domains, "")
        self._domains = dict(zip(check_names(told), told.values(), strict=True))
        self._known = {folded(name): name for name in self._domains}
        self.min_confidence = number("min_confidence", min_confidence, low=0.0, high=1.0)
        self._model = model
        self._scope = scope
        self._turn = 0

    async def classify(self, asked: TaskText) -> DomainGuess:
        """Return the model's answer; an answer that cannot be used is no idea.

        Raises:
            InfrastructureError: The model could not be asked.
            BudgetExceededError: A ceiling was reached before the call.
        """
        shown = "\n".join(
            f"- {name}: {about}" if about else f"- {name}" for name, about in self._domains.items()
        )
        text = asked.text[:MOST_TASK_CHARS]
        request = Request(
            system=template("competency", "domain").substitute(domains=shown),
            messages=(Message(role="user", content=(Text(text=quoted(text)),)),),
            max_tokens=_MAX_OUTPUT_TOKENS,
            output_schema=self._schema(),
        )
        turn, self._turn = self._turn, self._turn + 1
        site = CallSite(role=Role.CLASSIFIER, scope=self._scope, turn=turn)
        response = await self._model.complete(request, site)
        try:
            answer = read_json_answer(response.text)
            name = self._known.get(folded(str(answer["domain"])))
            sure = number("confidence", answer["confidence"], low=0.0, high=1.0)
        except (ValueError, KeyError, TypeError, InputError):
            return DomainGuess(None, 0.0, "classifier")
        return DomainGuess(name, sure if name else 0.0, "classifier")

    def _schema(self) -> dict[str, JsonValue]:
        return {
            "type": "object",
            "properties": {
                "domain": {"type": "string", "enum": [*self._domains, UNKNOWN]},
                "confidence": {"type": "number"},
            },
            "required": ["domain", "confidence"],
            "additionalProperties": False,
        }


async def infer(asked: TaskText, methods: Sequence[DomainClassifier]) -> DomainGuess:
    """Return the first guess that its method is sure enough of.

    Returns:
        A guess without a domain, method "none", when no method is; its confidence is the
        highest that was too low.
    """
    best = 0.0
    for method in methods:
        try:
            with step_boundary(f"domain of a task, by {type(method).__name__}"):
                guess = await method.classify(asked)
        except InternalError:  # the others are asked
            continue
        if guess.domain is not None and guess.confidence >= method.min_confidence:
            return guess
        best = max(best, guess.confidence)
    return DomainGuess(None, best, "none")


def words_of(text: str) -> frozenset[str]:
    """Return a text's words, plural endings off, for comparing."""
    return frozenset(
        word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
        for word in re.findall(r"[^\W_]+", text.casefold())
    )
