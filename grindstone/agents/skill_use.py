"""Which of the offered skills an attempt loaded, and whether it did what they teach."""

import re
from collections.abc import Iterable, Mapping

from pydantic import Field, NonNegativeInt

from grindstone.agents.commands import Words, matches, simple_commands, taught_commands
from grindstone.base import Frozen
from grindstone.records import Step, Trajectory

FOLLOWED_SHARE = 0.5
"""Share of a loaded skill's commands that must have been run for it to count as followed."""

_LOADERS = frozenset({"load_skill", "read_skill"})
_COMMANDS = {"bash": "command", "keystrokes": "keystrokes", "bash_command": "keystrokes"}
_READERS = r"cat|less|more|head|tail|nl|sed|awk|bat|view|vi|vim|nano|grep|python3?"
_PLACE = r"(?:~|\$\{?HOME\}?|/root)?/?\.(?:agents|claude|codex|terminus)/skills/"


class SkillUse(Frozen):
    """One skill in one attempt."""

    episode_id: str
    skill: str
    offered: bool = True
    loaded: bool = Field(description="Its SKILL.md was read, by tool or by command.")
    followed: bool = Field(
        description="Loaded, and at least half of the commands it teaches were run."
    )
    matched_commands: NonNegativeInt = Field(description="Of the taught ones, how many were run.")
    taught_commands: NonNegativeInt = Field(description="In its fenced shell blocks.")


def skill_uses(
    episode_id: str, trajectory: Trajectory, offered: Mapping[str, str]
) -> tuple[SkillUse, ...]:
    """Return one record per offered skill, sorted by name.

    Args:
        episode_id: The attempt.
        trajectory: What it did.
        offered: Skill name → the text of its SKILL.md.
    """
    scripts = (script for step in trajectory.steps for script in _scripts(step))
    ran = [words for script in scripts for words in simple_commands(script)]
    return tuple(
        _use(episode_id, name, offered[name], bool(loading_steps(trajectory, name)), ran)
        for name in sorted(offered)
    )


def loading_steps(trajectory: Trajectory, skill: str) -> tuple[int, ...]:
    """Return the steps in which a skill's SKILL.md was read, by tool or by command."""
    return tuple(step.index for step in trajectory.steps if _loads(skill, step))


def _use(episode_id: str, name: str, text: str, loaded: bool, ran: list[Words]) -> SkillUse:
    taught = taught_commands(text)
    matched = sum(any(matches(command, words) for words in ran) for command in taught)
    return SkillUse(
        episode_id=episode_id,
        skill=name,
        loaded=loaded,
        followed=loaded and matched > 0 and matched >= FOLLOWED_SHARE * len(taught),
        matched_commands=matched,
        taught_commands=len(taught),
    )


def _scripts(step: Step) -> Iterable[str]:
    for call in step.calls:
        value = call.arguments.get(_COMMANDS.get(call.name, ""))
        if isinstance(value, str):
            yield value


def _loads(name: str, step: Step) -> bool:
    failed = {output.call_id for output in step.outputs if output.is_error}
    for call in step.calls:
        if call.call_id in failed:
            continue
        if call.name in _LOADERS and call.arguments.get("name") == name:
            return True
        path = call.arguments.get("path")
        if call.name == "read_file" and isinstance(path, str) and _is_skill_file(path, name):
            return True
    return any(_reads(script, name) for script in _scripts(step))


def _is_skill_file(path: str, name: str) -> bool:
    return re.search(rf"{_PLACE}{re.escape(name)}/SKILL\.md$", path) is not None


def _reads(script: str, name: str) -> bool:
    """Whether a command line prints the skill's SKILL.md: by path, by glob, or after a cd."""
    folder = rf"(?:{re.escape(name)}|\*)"
    file = r"(?:SKILL\.md|\*(?:\.md)?)"
    direct = rf"\b(?:{_READERS})\b[^\n;|&]*{_PLACE}{folder}/{file}"
    entered = (
        rf"\bcd\s+[\"']?{_PLACE}{re.escape(name)}/?[\"']?\s*(?:&&|;|\n)"
        rf"[^\n]*?\b(?:{_READERS})\b[^\n;|&]*(?:\./)?SKILL\.md"
    )
    return re.search(f"{direct}|{entered}", script) is not None
