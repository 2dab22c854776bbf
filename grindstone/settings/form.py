"""How a person is asked for settings: few fields at once, the others in groups that unfold.

A form is the JSON schema of a flow's parameter, from which the Prefect UI draws it. The settings
know nothing of it but this: a group's values are taken as if they had been given flat, so what was
saved before there were groups goes on working, and so does who names a field directly.
"""

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, GetJsonSchemaHandler

Schema = dict[str, Any]

_NAME = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")
AS_USUAL = "As usual"
CHANGE = "Change"


class FieldGroup(NamedTuple):
    """Fields that are shown when somebody wants to change one of them."""

    name: str  # the key their values have in a run's parameters; no field's name
    description: str
    fields: tuple[str, ...]


class SettingsForm:
    """Draws a settings model; stands in the annotation of a flow's parameter."""

    def __init__(
        self,
        about: str,
        first: Sequence[str],
        groups: Sequence[FieldGroup] = (),
        *,
        needed: Sequence[str] = (),
    ) -> None:
        """Describe a form.

        Args:
            about: What the flow does and what somebody needs to know who runs it; the newer UI
                shows it above the fields, where it does not show the deployment's description.
            first: Fields that are always shown, in their order.
            groups: Fields that unfold. What is in neither is not shown; it is taken all the same.
            needed: Texts without which the flow can do nothing; all others are marked as optional.
        """
        self.about, self.first, self.groups = about, tuple(first), tuple(groups)
        self.needed = tuple(needed)

    def __get_pydantic_json_schema__(
        self, core_schema: Any, handler: GetJsonSchemaHandler
    ) -> Schema:
        """Return the model's schema, rearranged.

        Fields that are given flat, hidden ones too, are accepted; other names are not.
        """
        model = copy.deepcopy(handler.resolve_ref_schema(handler(core_schema)))
        taken = model["properties"]
        titles = {name: schema.get("title", name) for name, schema in taken.items()}
        fields = {name: _worded(each, titles) for name, each in plain_fields(model).items()}
        shown = {name: fields[name] for name in self.first}
        for group in self.groups:
            shown[group.name] = _folded(group, fields)
        for name in self.needed:
            shown[name] = {"minLength": 1} | shown[name]
            del shown[name]["default"]
        for position, schema in enumerate(shown.values()):
            schema["position"] = position
        return {
            "type": "object",
            "description": self.about,
            "properties": shown,
            "required": list(self.needed),
            "patternProperties": {f"^{name}$": schema for name, schema in taken.items()},
            "additionalProperties": False,
        }


def plain_fields(model: Schema) -> dict[str, Schema]:
    """Return the fields of a model's schema as a form can draw them: each of one type."""
    return {name: _plain(each) for name, each in copy.deepcopy(model["properties"]).items()}


def _worded(schema: Schema, titles: Mapping[str, str]) -> Schema:
    """Return a field's schema that speaks of other settings as the form shows them."""
    told = schema.get("description", "")
    worded = _NAME.sub(lambda found: titles.get(found[0], found[0]), told)
    return schema | {"description": worded}


def _folded(group: FieldGroup, fields: Mapping[str, Schema]) -> Schema:
    """Return a group as two leaves: nothing to fill in, and its fields.

    The UI draws the leaves of `anyOf`. The server judges the values by `then`, since anything
    fits the first leaf.
    """
    inside = {name: dict(fields[name]) for name in group.fields}
    for position, schema in enumerate(inside.values()):
        schema["position"] = position
    return {
        "title": group.name.replace("_", " ").capitalize(),
        "description": group.description,
        "anyOf": [
            {"title": AS_USUAL, "type": "object"},
            {"title": CHANGE, "type": "object", "properties": inside},
        ],
        "if": {},
        "then": {
            "properties": {name: _or_none(schema) for name, schema in inside.items()},
            "additionalProperties": False,
        },
    }


def _or_none(schema: Schema) -> Schema:
    return schema if "default" in schema else {"anyOf": [schema, {"type": "null"}]}


def _plain(schema: Schema) -> Schema:
    """Return the schema of an optional value without its None: an empty field is none, too."""
    leaves = [leaf for leaf in schema.get("anyOf", ()) if leaf != {"type": "null"}]
    if len(leaves) != 1 or schema.get("default") is not None:
        return schema
    kept = {name: value for name, value in schema.items() if name not in ("anyOf", "default")}
    leaf = dict(leaves[0])
    if leaf.get("format") != "password":
        leaf.pop("format", None)
    return leaf | kept


def flat(model: type[BaseModel], given: Any) -> Any:
    """Return what was given for a model's fields without groups.

    A value that stands in a group and beside it is the group's, unless that is the default:
    forms send defaults too.

    Args:
        model: Whose fields.
        given: What was given; anything but a dictionary is returned as it is.
    """
    if not isinstance(given, dict):
        return given
    found = {name: value for name, value in given.items() if not _is_group(model, name, value)}
    for name, value in given.items():
        if _is_group(model, name, value):
            for field, inner in value.items():
                if field not in found or not _is_default(model, field, inner):
                    found[field] = inner
    return {name: _none_if_empty(model, name, value) for name, value in found.items()}


def _is_group(model: type[BaseModel], name: str, value: Any) -> bool:
    return name not in model.model_fields and isinstance(value, dict)


def _is_default(model: type[BaseModel], field: str, value: Any) -> bool:
    info = model.model_fields.get(field)
    return info is not None and bool(info.get_default(call_default_factory=True) == value)


def _none_if_empty(model: type[BaseModel], name: str, value: Any) -> Any:
    """Return None for an empty text where a field may be none."""
    info = model.model_fields.get(name)
    return None if value == "" and info is not None and info.default is None else value
