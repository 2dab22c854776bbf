"""What of an episode is held against the rules: what it is called, did and said."""

import json
from collections.abc import Iterable, Mapping
from datetime import date
from functools import cached_property

from pydantic import JsonValue

from grindstone.base import Frozen
from grindstone.digest import canonical_json
from grindstone.records import Episode, StepKind, Trajectory


class Action(Frozen):
    """One thing the agent did or said."""

    index: int | None = None  # the step of the trajectory; None for the episode's own metadata
    tool: str = ""  # empty where it only spoke
    fields: dict[str, JsonValue] = {}
    text: str = ""

    @property
    def all_text(self) -> str:
        """Everything in it, as text."""
        given = canonical_json(self.fields) if self.fields else ""
        return "\n".join(part for part in (self.tool, given, self.text) if part)


class Material(Frozen):
    """An episode as rules see it."""

    episode_id: str
    title: str = ""
    labels: frozenset[str] = frozenset()  # tags, topics, category, metadata.domain
    metadata: dict[str, JsonValue] = {}
    day: date
    actions: tuple[Action, ...] = ()

    @cached_property
    def text(self) -> str:
        """All words of the episode, for finding what it is about."""
        head = [self.title, *sorted(self.labels), canonical_json(self.metadata)]
        return "\n".join([*head, *(action.all_text for action in self.actions)])

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
    for step in trajectory.steps if trajectory is not None else ():
        if step.kind is not StepKind.AGENT:
            continue  # what it was told is not its doing
        if step.message.strip():
            actions.append(Action(index=step.index, text=step.message, fields=_json_in(step)))
        actions += [
            Action(index=step.index, tool=call.name, fields=dict(call.arguments))
            for call in step.calls
        ]
    if trajectory is not None and trajectory.submission.strip():
        last = trajectory.steps[-1].index if trajectory.steps else None
        actions.append(Action(index=last, tool="submit", text=trajectory.submission))
    return Material(
        episode_id=episode.episode_id,
        title=episode.title,
        labels=frozenset(label.lower() for label in labels),
        metadata=episode.metadata,
        day=episode.started_at.date(),
        actions=tuple(actions),
    )


def field(fields: Mapping[str, JsonValue], name: str) -> JsonValue:
    """Return a dotted field, None when it is not there."""
    found: JsonValue = dict(fields)
    for part in name.split("."):
        if not isinstance(found, dict) or part not in found:
            return None
        found = found[part]
    return found


def _json_in(step: object) -> dict[str, JsonValue]:
    """Return a message that is one JSON object as fields, so that its numbers are checked."""
    try:
        found = json.loads(getattr(step, "message", ""))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
