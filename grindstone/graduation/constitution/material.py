"""What of an episode is held against the rules: what it is called, did and said."""

import re
from collections.abc import Iterable, Mapping
from datetime import date
from functools import cached_property
from typing import NamedTuple

from pydantic import JsonValue, field_validator

from grindstone.base import Frozen
from grindstone.digest import canonical_json
from grindstone.graduation.constitution.as_seen import all_as_seen, as_seen
from grindstone.graduation.constitution.reading import READ_CHARS, cut, is_deep, opened, snaked
from grindstone.records import Episode, StepKind, Trajectory

SPOKEN = frozenset({"submit", "final_answer", "answer", "finish", "respond", "reply", "present"})
"""Calls that only say something to whoever asked."""

HEARD_CHARS = 20_000


class Action(Frozen):
    """One thing the agent did or said, its texts as a reader sees them."""

    index: int | None = None  # the step of the trajectory; None for the episode's own metadata
    tool: str = ""  # empty where it only spoke
    fields: dict[str, JsonValue] = {}
    text: str = ""

    @field_validator("text")
    @classmethod
    def _text_as_seen(cls, value: str) -> str:
        return as_seen(value)

    @field_validator("fields", mode="before")
    @classmethod
    def _fields_as_seen(cls, value: JsonValue) -> JsonValue:
        return all_as_seen(value)

    @property
    def name(self) -> str:
        """The action as a message names it."""
        return self.tool or "what was said"

    @property
    def beginning(self) -> "Action":
        """The action with as much of its texts as is read."""
        left = [READ_CHARS // 2]  # fields are told twice: as written, and in snake case
        fields = {name: cut(each, left) for name, each in self.fields.items()}
        return self.model_copy(update={"text": self.text[:READ_CHARS], "fields": fields})

    @property
    def all_text(self) -> str:
        """Everything in it, as text."""
        given = canonical_json(self.fields) if self.fields else ""
        # taxRate is found by a rule that asks for tax_rate, and still by one that asks for taxRate.
        plain = canonical_json(snaked(self.fields)) if self.fields else ""
        parts = (self.tool, given, "" if plain == given else plain, self.text)
        return "\n".join(part for part in parts if part)


class ActionFinding(NamedTuple):
    """What came of holding one action against a rule; neither field: it is right."""

    action: Action
    breach: str = ""
    undecided: str = ""


class Material(Frozen):
    """An episode as rules see it."""

    episode_id: str
    title: str = ""
    labels: frozenset[str] = frozenset()  # tags, topics, category, metadata.domain
    metadata: dict[str, JsonValue] = {}
    day: date
    actions: tuple[Action, ...] = ()
    heard: str = ""  # what tools answered: it settles what a sale is about, and condemns nothing

    @cached_property
    def text(self) -> str:
        """All words of the episode, for finding what it is about."""
        head = [self.title, *sorted(self.labels), canonical_json(self.metadata)]
        return "\n".join([*head, *(action.all_text for action in self.actions)])

    @property
    def is_read(self) -> bool:
        """Whether anything is known of what the agent did or said."""
        return bool(self.actions)

    @cached_property
    def unread(self) -> str:
        """Why not all of it is held against the rules; empty where it is."""
        for action in self.carriers():
            if is_deep(action.fields):
                return f"{action.name} nests deeper than is read"
            if len(action.all_text) > READ_CHARS:
                return f"{action.name} holds more than the {READ_CHARS:,} characters that are read"
        return ""

    @cached_property
    def readable(self) -> "Material":
        """The same, with each action's beginning where it is longer than is read."""
        if not self.unread:
            return self
        return self.model_copy(
            update={
                "actions": tuple(each.beginning for each in self.actions),
                "metadata": Action(fields=self.metadata).beginning.fields,
            }
        )

    def carriers(self) -> Iterable[Action]:
        """Return the actions, and the metadata as an action of its own."""
        return (*self.actions, Action(fields=self.metadata)) if self.metadata else self.actions


def material_of(episode: Episode, trajectory: Trajectory | None) -> Material:
    """Return an episode's material.

    Args:
        episode: What was tried.
        trajectory: How; None when nobody recorded it.
    """
    domain = episode.metadata.get("domain")
    labels = {*episode.tags, *episode.topics, episode.category, str(domain or "")} - {""}
    actions: list[Action] = []
    heard: list[str] = []
    for step in trajectory.steps if trajectory is not None else ():
        if step.kind is not StepKind.AGENT:
            continue  # what it was told is not its doing
        if step.message.strip():
            actions.append(
                Action(index=step.index, text=step.message, fields=_json_in(step.message))
            )
        actions += [
            Action(index=step.index, tool=call.name, fields=dict(call.arguments))
            for call in step.calls
        ]
        heard += [output.content for output in step.outputs]
    if trajectory is not None and trajectory.submission.strip():
        last = trajectory.steps[-1].index if trajectory.steps else None
        fields = _json_in(trajectory.submission)
        actions.append(Action(index=last, tool="submit", text=trajectory.submission, fields=fields))
    return Material(
        episode_id=episode.episode_id,
        title=episode.title,
        labels=frozenset(label.lower() for label in labels),
        metadata=episode.metadata,
        day=episode.started_at.date(),
        actions=tuple(actions),
        heard="\n".join(heard)[:HEARD_CHARS],
    )


def field(fields: Mapping[str, JsonValue], name: str) -> JsonValue:
    """Return a dotted field, None when it is not there."""
    found: JsonValue = dict(fields)
    for part in name.split("."):
        if not isinstance(found, dict) or part not in found:
            return None
        found = found[part]
    return found


_BLOCK = re.compile(r"```(?:json)?\s*\n(.*?)```", re.S)


def _json_in(text: str) -> dict[str, JsonValue]:
    """Return the JSON records in a message as fields, so that their numbers are checked."""
    found = [value for value in (opened(text), *map(opened, _BLOCK.findall(text))) if value != text]
    records = [value for value in found if isinstance(value, dict | list)]
    if len(records) == 1 and isinstance(records[0], dict):
        return records[0]
    return {"records": list(records)} if records else {}
