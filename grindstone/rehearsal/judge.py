"""The judge's and the classifier's parts: structured answers computed from the prompt's words."""

import json
import re
from typing import Any, NamedTuple

from grindstone.observe.judge import PASSING_SCORE
from grindstone.observe.observation import CATEGORY
from grindstone.rehearsal import knowledge
from grindstone.rehearsal.wire import ModelRequest, ScriptedAnswer
from grindstone.rehearsal.words import stems

_DEFAULT = ("score", "category", "outcome", "failure_reason")
_UNSURE = ("unknown", "other", "general")
Schema = dict[str, Any]


class Domain(NamedTuple):
    """A field of work and how many words spoke for it."""

    name: str
    strength: int


def answer(asked: ModelRequest) -> ScriptedAnswer:
    """Return a JSON document that satisfies the request's schema."""
    text = asked.turns[0].text
    schema = asked.schema or {"type": "object", "properties": {n: {} for n in _DEFAULT}}
    allowed = _allowed(schema)
    domain = _domain(text, allowed)
    confidence = round(domain.strength / (domain.strength + 2), 3)
    values = _verdict(text) | {"domain": domain.name, "confidence": confidence}
    values["category"] = _stated_category(text) or domain.name
    return ScriptedAnswer(json.dumps(_fill(schema, values, schema)))


def _stated_category(text: str) -> str:
    found = re.search(rf"^{re.escape(CATEGORY)}(\S+)", text, re.MULTILINE)
    return found[1] if found else ""


def _allowed(schema: Schema) -> list[str]:
    """Return the domains a schema offers to choose from, if it does."""
    properties = _resolve(schema, schema).get("properties") or {}
    part = _resolve(properties.get("domain") or properties.get("category") or {}, schema)
    return [item for item in part.get("enum") or () if isinstance(item, str)]


def _domain(text: str, allowed: list[str]) -> Domain:
    words = stems(text)
    scores: dict[str, int] = {name: len(stems(name) & words) for name in allowed}
    for entry in knowledge.entries():
        if not allowed or entry.category in allowed:
            scores[entry.category] = scores.get(entry.category, 0) + entry.match(text)
    name = max(scores, key=lambda each: (scores[each], each), default="")
    if name and scores[name]:
        return Domain(name, scores[name])
    unsure = next((each for each in _UNSURE if each in allowed), "")
    return Domain(unsure or (allowed[0] if allowed else _UNSURE[-1]), 0)


def _count(text: str, *names: str) -> int:
    for name in names:
        found = re.search(rf"\b{name}\b\W{{0,6}}(\d+)", text, re.IGNORECASE)
        if found:
            return int(found[1])
    return 0


def _verdict(text: str) -> dict[str, Any]:
    """Score behaviour: errors, loops, limits and missing submissions cost points."""
    errors = _count(text, "n_errors", "errors")
    timeouts = _count(text, "n_timeouts", "timeouts")
    told = re.search(r"^- loops: (.*)$", text, re.MULTILINE)
    looped = re.search(r"[x\u00d7]\s?\d+", told[1] if told else text) is not None
    submitted = re.search(r"submitted\W{1,6}(no|false)", text, re.IGNORECASE) is None
    score = 9 - min(4, 2 * errors) - 2 * looped - 2 * bool(timeouts) - 4 * (not submitted)
    reason = ""
    if score < PASSING_SCORE:
        reason = _reason(errors=errors, timeouts=timeouts, looped=looped, submitted=submitted)
    ended = "was submitted" if submitted else "was not submitted"
    return {
        "score": max(0, score),
        "outcome": f"The work {ended} after {errors} failed commands and {timeouts} timeouts.",
        "failure_reason": reason,
    }


def _reason(*, errors: int, timeouts: int, looped: bool, submitted: bool) -> str:
    if errors and looped:
        return "repeated a failing command instead of looking for its cause"
    if errors:
        return "left failed commands without mending their cause"
    if timeouts or not submitted:
        return "ran into a limit before the work was done"
    return "went in circles"


def _resolve(schema: Schema, root: Schema) -> Schema:
    while "$ref" in schema:
        node: Any = root
        for part in str(schema["$ref"]).lstrip("#/").split("/"):
            node = node[part]
        schema = node
    return schema


def _fill(schema: Schema, values: dict[str, Any], root: Schema) -> Any:
    schema = _resolve(schema, root)
    if "properties" in schema:
        return {
            name: _value(name, part, values, root) for name, part in schema["properties"].items()
        }
    return _blank(schema)


def _value(name: str, schema: Schema, values: dict[str, Any], root: Schema) -> Any:
    schema = _resolve(schema, root)
    if name not in values:
        return _fill(schema, values, root)
    allowed = schema.get("enum") or ()
    if allowed and values[name] not in allowed:
        return next((each for each in _UNSURE if each in allowed), allowed[0])
    return values[name]


def _blank(schema: Schema) -> Any:
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    options = schema.get("anyOf") or ()
    if options:
        return None if any(o.get("type") == "null" for o in options) else _blank(options[0])
    blanks: dict[str, Any] = {
        "integer": 0,
        "number": 0,
        "boolean": False,
        "array": [],
        "object": {},
        "null": None,
    }
    return blanks.get(str(schema.get("type")), "")
