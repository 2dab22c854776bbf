"""The evolver's part: match what was observed with general know-how, write or refine skills.

Like the solver it is a generator, played anew on every request.
"""

import re
from collections import defaultdict, deque
from collections.abc import Generator, Iterable
from typing import NamedTuple

from grindstone.rehearsal import folding, knowledge
from grindstone.rehearsal.observed import Observed, failures
from grindstone.rehearsal.programs import SHELLS, unwrapped
from grindstone.rehearsal.wire import ModelRequest, RequestedTool, ScriptedAnswer, digest

_TOOL = "workspace_bash"
_LOOK = "ls skills 2>/dev/null; echo; cat evolution/current_observation.md 2>/dev/null; true"
_VERSION = re.compile(r"version:\s*[\"']?(\d+)")
_MOST_CHARS = re.compile(r"at most (\d+) characters")
_DEFAULT_CHARS = 2_000
_NO_LIMIT = 1_000


class Act(NamedTuple):
    """A command for the workspace, or closing words."""

    thought: str
    command: str | None


class PromptRules(NamedTuple):
    """What the prompt permits."""

    skills: bool
    prompts: bool
    protected: bool
    room: int  # how many skills may be added
    max_chars: int


Play = Generator[Act, str, None]
Steps = Generator[Act, str, bool]  # returns whether anything was written


def answer(asked: ModelRequest) -> ScriptedAnswer:
    """Return the evolver's next turn."""
    tools = {tool.name: tool.argument for tool in asked.tools}
    # A program of others brings a shell of its own.
    tool = next((name for name in (_TOOL, *SHELLS) if name in tools), _TOOL)
    argument = tools.get(tool) or "command"
    uses = {use.call_id: use for turn in asked.turns for use in turn.uses}
    held: dict[str, deque[str]] = defaultdict(deque)
    for turn in asked.turns:
        for result in turn.results:
            held[str(uses[result.call_id].arguments.get(argument))].append(unwrapped(result.text))
    acting = _play(asked.turns[0].text)
    act = next(acting)
    while act.command is not None and held[act.command]:
        act = acting.send(held[act.command].popleft())
    if act.command is None:
        if any(turn.role == "user" and turn.text for turn in asked.turns[1:]):
            return ScriptedAnswer("I know no other way to say it; what was refused stays undone.")
        return ScriptedAnswer(act.thought)
    number = sum(len(turn.uses) for turn in asked.turns)
    call_id = f"toolu_rehearsal_{digest(number, act.command)}"
    return ScriptedAnswer(act.thought, RequestedTool(call_id, tool, {argument: act.command}))


def _rules(prompt: str) -> PromptRules:
    def flag(name: str, default: bool) -> bool:
        found = re.search(rf"\b{name}\W+(true|false)\b", prompt)
        return found[1] == "true" if found else default

    only_prompts = flag("prompt_only", False)
    limit = _MOST_CHARS.search(prompt)
    return PromptRules(
        skills=flag("evolve_skills", True) and not only_prompts,
        prompts=flag("evolve_prompts", False),
        protected=flag("protect_skills", False),
        room=_room(prompt),
        max_chars=int(limit[1]) if limit else _DEFAULT_CHARS,
    )


def _room(prompt: str) -> int:
    if re.search(r"budget is reached|no new skills", prompt, re.IGNORECASE):
        return 0
    left = re.search(r"(\d+) more may be made", prompt)
    return int(left[1]) if left else _NO_LIMIT


def _play(prompt: str) -> Play:
    seen = yield Act("I read the observations and look at which skills there are.", _LOOK)
    listing, _, observation = seen.partition("\n\n")
    names = tuple(re.findall(r"^[a-z0-9]+(?:-[a-z0-9]+)*$", listing, re.MULTILINE))
    rules = _rules(prompt)
    if not rules.skills and not rules.prompts:
        yield Act("Neither skills nor prompts may change here, so I change nothing.", None)
        return
    wanted = _wanted(failures(observation, prompt))
    if not wanted:
        yield Act("I know nothing general that would have helped; I change nothing.", None)
        return
    written: list[str] = []
    for entry in wanted:
        if rules.skills:
            done = yield from _teach(entry, names, rules)
            if done and entry.skill not in names:
                rules = rules._replace(room=rules.room - 1)
        else:
            done = yield from _advise(entry)
        if done:
            written.append(entry.skill)
    if written:
        yield Act(f"I wrote down what is known in general: {', '.join(written)}.", None)
    else:
        yield Act("What is there says all I know; I change nothing.", None)


def _wanted(patterns: Iterable[Observed]) -> tuple[knowledge.FieldKnowledge, ...]:
    """Return what each failure calls for most, every entry once."""
    found: dict[str, knowledge.FieldKnowledge] = {}
    for pattern in patterns:
        for entry in knowledge.matching(pattern.text, pattern.category)[:1]:
            found.setdefault(entry.skill, entry)
    return tuple(found.values())


def _teach(entry: knowledge.FieldKnowledge, names: tuple[str, ...], rules: PromptRules) -> Steps:
    if entry.skill in names:
        return (yield from _refine(entry, rules))
    if rules.room <= 0:
        return (yield from _fold(entry, names, rules))
    thought = f"The failures call for the skill {entry.skill}; I write it."
    yield Act(thought, _write(f"skills/{entry.skill}/SKILL.md", entry.skill_md(1)))
    return True


def _refine(entry: knowledge.FieldKnowledge, rules: PromptRules) -> Steps:
    if rules.protected:
        return False
    path = f"skills/{entry.skill}/SKILL.md"
    body = yield Act(f"The skill {entry.skill} exists; I read it again.", f"cat {path}")
    told = [note for note in entry.notes if note in body]
    notes = (*told, *(note for note in entry.notes if note not in told))[: len(told) + 1]
    found = _VERSION.search(body)
    refined = entry.skill_md((int(found[1]) if found else 1) + 1, notes)
    if len(notes) == len(told) or len(refined) > rules.max_chars:
        return False
    yield Act(f"I refine the skill {entry.skill} by one remark.", _write(path, refined))
    return True


def _fold(entry: knowledge.FieldKnowledge, names: tuple[str, ...], rules: PromptRules) -> Steps:
    """Put know-how beside an existing skill, which becomes an index of what it holds."""
    if rules.protected:
        return False
    for name in names:
        path = f"skills/{name}/SKILL.md"
        body = yield Act(f"The budget is reached; can {name} take this in?", f"cat {path}")
        folded = folding.folded(name, body, entry)
        if folded is None or len(folded.skill_md) > rules.max_chars:
            continue
        for file, text in folded.beside.items():
            yield Act(f"I write the reference {file}.", _write(f"skills/{name}/{file}", text))
        yield Act(f"I make {name} point to it.", _write(path, folded.skill_md))
        return True
    return False


_PROMPT = "\"$(sed -n 's/^system_prompt: *//p' manifest.yaml | grep . || echo prompts/system.md)\""


def _advise(entry: knowledge.FieldKnowledge) -> Steps:
    """Add a field's first words to the system prompt, once."""
    advice = " ".join(entry.body.split("\n\n", 1)[0].split())
    prompt = yield Act("Only the system prompt may change; I read it.", f"cat {_PROMPT}")
    if advice in prompt:
        return False
    command = f"cat >> {_PROMPT} <<'END_OF_ADVICE'\n\n{advice}\nEND_OF_ADVICE"
    yield Act("I add a piece of advice to the system prompt.", command)
    return True


def _write(path: str, text: str) -> str:
    folder = path.rsplit("/", 1)[0]
    marker = "END_OF_FILE"
    return f"mkdir -p {folder} && cat > {path} <<'{marker}'\n{text}{marker}\nwc -c {path}"
