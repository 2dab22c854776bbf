"""The evolver's part: match what was observed with general know-how, write or refine skills."""

import re
from collections import defaultdict, deque
from collections.abc import Generator
from typing import NamedTuple

from grindstone.llm.rehearsal import knowledge
from grindstone.llm.rehearsal.wire import Answer, Asked, Use, digest
from grindstone.llm.rehearsal.words import stems

_TOOL = "workspace_bash"
_LOOK = (
    "cat evolution/current_observation.md 2>/dev/null; "
    'for f in skills/*/SKILL.md; do [ -f "$f" ] && echo "=== $f" && cat "$f"; done; true'
)
_FILE = re.compile(r"^=== skills/([^/\n]+)/SKILL\.md\n(.*?)(?=^=== skills/|\Z)", re.M | re.S)
_VERSION = re.compile(r"version:\s*[\"']?(\d+)")
_BUDGET = re.compile(r"(budget (?:is |has been )?(?:reached|exhausted|spent)|no new skills)", re.I)
_READ_ONLY = re.compile(r"(evolve_skills\W+(?:false|no)|prompt_only\W+true)", re.I)
_PROTECTED = re.compile(
    r"(protect_skills\W+true|existing skills are (?:read-only|protected))", re.I
)


class Act(NamedTuple):
    """A command for the workspace, or closing words."""

    thought: str
    command: str | None


class Library(NamedTuple):
    """What the workspace holds, by skill name."""

    bodies: dict[str, str]

    def version(self, name: str) -> int:
        """Return a skill's version, 1 where none is written."""
        found = _VERSION.search(self.bodies[name])
        return int(found[1]) if found else 1


Play = Generator[Act, str, None]


def answer(asked: Asked) -> Answer:
    """Return the evolver's next turn."""
    argument = next((t.argument for t in asked.tools if t.name == _TOOL), "") or "command"
    uses = {use.call_id: use for turn in asked.turns for use in turn.uses}
    held: dict[str, deque[str]] = defaultdict(deque)
    for turn in asked.turns:
        for result in turn.results:
            held[str(uses[result.call_id].arguments.get(argument))].append(result.text)
    acting = _play(asked.turns[0].text)
    act = next(acting)
    while act.command is not None and held[act.command]:
        act = acting.send(held[act.command].popleft())
    if act.command is None:
        return Answer(act.thought)
    number = sum(len(turn.uses) for turn in asked.turns)
    call_id = f"toolu_rehearsal_{digest(number, act.command)}"
    return Answer(act.thought, Use(call_id, _TOOL, {argument: act.command}))


def _play(prompt: str) -> Play:
    seen = yield Act("I read the observation and the skills there are.", _LOOK)
    observation = seen.split("=== skills/")[0]
    library = Library(dict(_FILE.findall(seen)))
    if _READ_ONLY.search(prompt):
        yield Act("Skills may not be changed here, so I change nothing.", None)
        return
    wanted = knowledge.matching(observation if stems(observation) else prompt)
    if not wanted:
        yield Act("I know nothing general that would have helped; I change nothing.", None)
        return
    at_budget = bool(_BUDGET.search(prompt))
    protected = bool(_PROTECTED.search(prompt))
    written: list[str] = []
    for entry in wanted[:1]:
        text = _revised(entry, library, at_budget=at_budget, protected=protected)
        if text is None:
            continue
        name, body = text
        yield Act(f"I write what is known in general into the skill {name}.", _write(name, body))
        written.append(name)
    if written:
        yield Act(f"Done. Skills written: {', '.join(written)}.", None)
    else:
        yield Act("The skills there are say all I know; I change nothing.", None)


def _revised(
    entry: knowledge.Entry, library: Library, *, at_budget: bool, protected: bool
) -> tuple[str, str] | None:
    if entry.skill in library.bodies:
        if protected:
            return None
        told = tuple(n for n in entry.notes if n in library.bodies[entry.skill])
        if len(told) == len(entry.notes):
            return None
        notes = entry.notes[: len(told) + 1]
        return entry.skill, entry.skill_md(library.version(entry.skill) + 1, notes)
    if at_budget:
        return None
    return entry.skill, entry.skill_md(1)


def _write(name: str, body: str) -> str:
    marker = "END_OF_SKILL"
    return (
        f"mkdir -p skills/{name} && cat > skills/{name}/SKILL.md <<'{marker}'\n{body}{marker}\n"
        f"wc -c skills/{name}/SKILL.md"
    )
