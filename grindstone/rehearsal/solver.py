"""The solver's part: the simple agent, spoken as tool use or as terminus JSON."""

import json
from collections import defaultdict, deque
from collections.abc import Iterable
from typing import NamedTuple

from grindstone.rehearsal import memory, skillbook, terminal
from grindstone.rehearsal.play import (
    SKILLS,
    Action,
    AskForSkills,
    Finish,
    Play,
    ReadSkill,
    RunCommand,
    Seen,
    play,
)
from grindstone.rehearsal.programs import SHELLS, SUBMIT
from grindstone.rehearsal.wire import (
    ModelRequest,
    RequestedTool,
    Result,
    ScriptedAnswer,
    digest,
    known_by,
)

_LOADERS = ("load_skill", "read_skill")
_LIST = f"head -n 8 {SKILLS}/*/SKILL.md 2>/dev/null; true"


class Keys(NamedTuple):
    """Words an action as a tool call."""

    arguments: dict[str, str]  # by tool: the name of its first argument

    def use(self, action: Action) -> tuple[str, dict[str, str]]:
        """Return the tool and its arguments for an action."""
        match action:
            case AskForSkills():
                return ("list_skills", {}) if "list_skills" in self.arguments else self._bash(_LIST)
            case ReadSkill(name=name):
                loader = next((tool for tool in _LOADERS if tool in self.arguments), None)
                if loader:
                    return loader, {self.arguments[loader] or "name": name}
                return self._bash(f"cat {SKILLS}/{name}/SKILL.md")
            case RunCommand(command=command):
                return self._bash(command)
            case Finish(thought=thought):
                return "submit", {self.arguments.get("submit") or "message": thought}

    def _bash(self, command: str) -> tuple[str, dict[str, str]]:
        shell = next((name for name in SHELLS if name in self.arguments), "bash")
        return shell, {self.arguments.get(shell) or "command": command}


def answer(asked: ModelRequest) -> ScriptedAnswer:
    """Return the solver's next turn."""
    return _with_tools(asked) if asked.tools else _typing(asked)


def _acting(asked: ModelRequest, instruction: str) -> Play:
    return play(instruction, skillbook.cards_in_prompt(asked.system), may_list=True)


def _next(
    acting: Play, past: Iterable[memory.Past], done: dict[str, deque[bool]], keys: Keys
) -> Action | None:
    """Return the first action the conversation does not hold; None after the last.

    What a summary remembers of an earlier command is its success alone; skills it
    remembers are read again, for their text is gone.
    """
    held: dict[str, deque[Seen]] = defaultdict(deque)
    for item in past:
        held[item.key].append(item.seen)
    action = next(acting)
    while not isinstance(action, Finish):
        key = known_by(*keys.use(action))
        if isinstance(action, RunCommand) and done.get(key):
            seen = Seen("", done[key].popleft())
        elif held[key]:
            seen = held[key].popleft()
        else:
            return action
        try:
            action = acting.send(seen)
        except StopIteration:
            return None
    return action


def _with_tools(asked: ModelRequest) -> ScriptedAnswer:
    keys = Keys({tool.name: tool.argument for tool in asked.tools})
    opening = asked.turns[0].texts
    acting = _acting(asked, opening[0] if opening else "")
    action = _next(acting, _past(asked), memory.remembered("\n".join(opening[1:])), keys)
    if action is None or (isinstance(action, Finish) and "submit" not in asked.tool_names):
        closing = action.thought if action else "The task is done."
        if SUBMIT not in asked.user_text + asked.system or submitted(asked):
            return ScriptedAnswer(closing)
        action = RunCommand(closing, SUBMIT)
    name, arguments = keys.use(action)
    number = sum(len(turn.uses) for turn in asked.turns)
    call_id = f"toolu_rehearsal_{digest(number, name, arguments)}"
    return ScriptedAnswer(action.thought, RequestedTool(call_id, name, dict(arguments)))


def submitted(asked: ModelRequest) -> bool:
    """Whether the command that ends a program's work was asked for already."""
    return any(SUBMIT in use.arguments.values() for turn in asked.turns for use in turn.uses)


def _past(asked: ModelRequest) -> Iterable[memory.Past]:
    uses = {use.call_id: use for turn in asked.turns for use in turn.uses}
    for turn in asked.turns:
        for result in turn.results:
            use = uses[result.call_id]
            yield memory.Past(known_by(use.name, use.arguments), Seen(result.text, _failed(result)))


def _failed(result: Result) -> bool:
    code = memory.exit_code(result.text)
    return result.is_error if code is None else code != 0


def _typing(asked: ModelRequest) -> ScriptedAnswer:
    keys = Keys({})
    opening = asked.turns[0].texts
    shown = terminal.read_opening(opening[0] if opening else "")
    past, waiting = terminal.past(asked.turns, real=shown.real)
    if waiting:
        return ScriptedAnswer(_json("The command still runs.", [terminal.wait()], complete=False))
    acting = _acting(asked, shown.instruction)
    action = _next(acting, past, memory.remembered("\n".join(opening[1:])), keys)
    if action is None or isinstance(action, Finish):
        closing = action.thought if action else "The task is done."
        return ScriptedAnswer(_json(closing, [], complete=True))
    command = next(iter(keys.use(action)[1].values()))
    typed = terminal.typed(command, real=shown.real)
    return ScriptedAnswer(_json(action.thought, [typed], complete=False))


def _json(thought: str, commands: list[terminal.TypedCommand], *, complete: bool) -> str:
    body = {
        "analysis": thought,
        "plan": "Nothing is left to do." if complete else "I run the command and read its output.",
        "commands": [command._asdict() for command in commands],
        "task_complete": complete,
    }
    return json.dumps(body, indent=2)
