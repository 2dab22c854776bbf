"""The judge's and the classifier's parts: structured answers computed from the prompt's words."""

import json
import re
from typing import Any

from grindstone.llm.rehearsal import knowledge
from grindstone.llm.rehearsal.wire import Answer, Asked

_DEFAULT = ("score", "category", "outcome", "failure_reason")
Schema = dict[str, Any]


def answer(asked: Asked) -> Answer:
    """Return a JSON document that satisfies the request's schema."""
    text = asked.user_text
    values = _verdict(text) | _classification(text)
    schema = asked.schema or {"type": "object", "properties": {n: {} for n in _DEFAULT}}
    return Answer(json.dumps(_fill(schema, values, schema)))


def _count(text: str, *names: str) -> int:
    for name in names:
        found = re.search(rf"\b{name}\b\W{{0,6}}(\d+)", text, re.I)
        if found:
            return int(found[1])
    return 0


def _domain(text: str) -> tuple[str, int]:
    strength, entry = max((e.match(text), e.category) for e in knowledge.entries())
    return (entry, strength) if strength else ("general", 0)


def _verdict(text: str) -> dict[str, Any]:
    errors = _count(text, "n_errors", "errors")
    timeouts = _count(text, "n_timeouts", "timeouts")
    loops = len(re.findall(r"[x\u00d7]\s?\d+\b|\b\d+ ?[x\u00d7]|\brepeated\b", text))
    unsubmitted = re.search(r"submitted\W{1,6}(no|false)", text, re.I) is not None
    score = 9 - min(4, 2 * errors) - min(3, loops) - 2 * bool(timeouts) - 3 * unsubmitted
    score = max(0, min(10, score))
    reason = ""
    if score < 7 and errors:
        reason = "a failing command was repeated" if loops else "failed commands were not mended"
    elif score < 7:
        reason = "ended at a limit" if unsubmitted or timeouts else "went in circles"
    ended = "not submitted" if unsubmitted else "submitted"
    return {
        "score": score,
        "category": _domain(text)[0],
        "outcome": f"{errors} failing commands, {timeouts} timeouts, {ended}.",
        "failure_reason": reason,
    }


def _classification(text: str) -> dict[str, Any]:
    domain, strength = _domain(text)
    return {"domain": domain, "confidence": round(strength / (strength + 2), 3)}


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
    allowed = [str(item) for item in schema.get("enum") or ()]
    if allowed and values[name] not in allowed:
        return next((w for w in ("unknown", "other", "general") if w in allowed), allowed[0])
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
