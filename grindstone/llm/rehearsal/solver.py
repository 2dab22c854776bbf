"""The solver's part: the simple agent, spoken as tool use or as terminus JSON."""

import json
import re
from collections import defaultdict, deque
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from grindstone.llm.rehearsal import skillbook
from grindstone.llm.rehearsal.play import (
    Action,
    Finish,
    ListSkills,
    LoadSkill,
    Play,
    Run,
    Seen,
    play,
)
from grindstone.llm.rehearsal.wire import Answer, Asked, Result, Turn, Use, digest

_SKILLS = "/root/.agents/skills"
_EXIT = re.compile(
    r"\bexit(?:ed)?(?:[ _-]?(?:code|status))?(?:\s+with)?\s*[:=]?\s*(\d{1,3})\b", re.I
)
_SHELL_ERROR = re.compile(
    r"(Traceback \(most recent call last\)|command not found|No such file or directory"
    r"|^(?:fatal|error): |SyntaxError)",
    re.MULTILINE,
)
_LOADERS = ("load_skill", "read_skill")
_LIST = f"head -n 8 {_SKILLS}/*/SKILL.md 2>/dev/null"


class Past(NamedTuple):
    """An action the conversation holds, by key, and what it gave."""

    key: str
    seen: Seen


def answer(asked: Asked) -> Answer:
    """Return the solver's next turn."""
    return _with_tools(asked) if asked.tools else _terminus(asked)


def _next(acting: Play, past: Iterable[Past], keys: "Keys") -> Action | None:
    """Return the first action the conversation does not hold; None after the last."""
    held: dict[str, deque[Seen]] = defaultdict(deque)
    for item in past:
        held[item.key].append(item.seen)
    action = next(acting)
    while True:
        seen = held[keys(action)]
        if not seen:
            return action
        try:
            action = acting.send(seen.popleft())
        except StopIteration:
            return None


class Keys:
    """Names an action the way the conversation words it."""

    def __init__(self, asked: Asked) -> None:
        self.tools = {tool.name: tool.argument for tool in asked.tools}
        self.loader = next((name for name in _LOADERS if name in self.tools), None)

    def use(self, action: Action) -> tuple[str, dict[str, str]]:
        """Return the tool and its arguments for an action."""
        match action:
            case ListSkills():
                if "list_skills" in self.tools:
                    return "list_skills", {}
                return "bash", {self.tools.get("bash") or "command": _LIST}
            case LoadSkill(name=name):
                if self.loader:
                    return self.loader, {self.tools[self.loader] or "name": name}
                command = f"cat {_SKILLS}/{name}/SKILL.md"
                return "bash", {self.tools.get("bash") or "command": command}
            case Run(command=command):
                return "bash", {self.tools.get("bash") or "command": command}
            case Finish():
                return "submit", {}

    def __call__(self, action: Action) -> str:
        """Return the key of an action."""
        return digest(*self.use(action))


def _with_tools(asked: Asked) -> Answer:
    keys = Keys(asked)
    acting = play(
        _instruction(asked.turns[0].text),
        skillbook.cards_in_prompt(asked.system),
        may_list=True,
    )
    action = _next(acting, _past_tools(asked.turns), keys)
    if action is None or isinstance(action, Finish):
        return Answer(action.thought if action else "The task is done.")
    name, arguments = keys.use(action)
    number = sum(len(turn.uses) for turn in asked.turns)
    call_id = f"toolu_rehearsal_{digest(number, name, arguments)}"
    return Answer(action.thought, Use(call_id, name, arguments))


def _past_tools(turns: tuple[Turn, ...]) -> Iterable[Past]:
    uses = {use.call_id: use for turn in turns for use in turn.uses}
    for turn in turns:
        for result in turn.results:
            use = uses[result.call_id]
            yield Past(digest(use.name, use.arguments), Seen(result.text, _failed(result)))


def _failed(result: Result) -> bool:
    codes: list[str] = _EXIT.findall(result.text)
    if not codes:
        return result.is_error
    return codes[0 if _leads(result.text) else -1] != "0"


def _leads(text: str) -> bool:
    return _EXIT.match(text.lstrip("[<({ ")) is not None


def _instruction(text: str) -> str:
    """Return the task's part of the opening message, where it is marked off."""
    marked = re.search(
        r"^(?:#+\s*)?(?:Task(?: description)?|Instructions?)\s*:?\s*\n(.*?)"
        r"(?=^(?:#+\s*)?(?:Current terminal|Terminal|Skills|Environment)\b|\Z)",
        text,
        re.DOTALL | re.MULTILINE | re.IGNORECASE,
    )
    return marked[1].strip() if marked and marked[1].strip() else text


def _terminus(asked: Asked) -> Answer:
    keys = Keys(asked)
    acting = play(
        _instruction(asked.turns[0].text),
        skillbook.cards_in_prompt(asked.system + "\n" + asked.turns[0].text),
        may_list=True,
    )
    action = _next(acting, _past_terminus(asked.turns), keys)
    if action is None or isinstance(action, Finish):
        closing = action.thought if action else "Confirmed: the task is done."
        return Answer(_json(closing, [], complete=True))
    command = next(iter(keys.use(action)[1].values()))
    return Answer(_json(action.thought, [command], complete=False))


def _json(thought: str, commands: list[str], *, complete: bool) -> str:
    body = {
        "analysis": thought,
        "plan": "Nothing is left to do." if complete else "I run the command and read its output.",
        "commands": [
            {"keystrokes": f"{command}\n", "duration": 5.0 if "\n" in command else 2.0}
            for command in commands
        ],
        "task_complete": complete,
    }
    return json.dumps(body, indent=2)


def _past_terminus(turns: tuple[Turn, ...]) -> Iterable[Past]:
    for spoken, given in pairwise(turns):
        if spoken.role != "assistant" or given.role != "user":
            continue
        try:
            said = json.loads(spoken.text)
            commands = [str(item["keystrokes"]) for item in said.get("commands") or []]
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
        codes = _EXIT.findall(given.text)
        failed = codes[-1] != "0" if codes else bool(_SHELL_ERROR.search(given.text))
        for keystrokes in commands:
            command = keystrokes.removesuffix("\n")
            yield Past(digest("bash", {"command": command}), Seen(given.text, failed))
