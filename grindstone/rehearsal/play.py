"""The simple agent itself: a generator of actions that is told what each one gave.

It is played anew from the first action on every request, fed with what the conversation
already holds, so that the server keeps no state.
"""

from collections.abc import Generator
from typing import NamedTuple

from grindstone.rehearsal import brief as briefs
from grindstone.rehearsal import instincts, skillbook

SKILLS = "/root/.agents/skills"
_REPEATS = 3  # a weak agent runs a failing command again, hoping


class AskForSkills(NamedTuple):
    """Ask which skills there are."""

    thought: str


class ReadSkill(NamedTuple):
    """Read a skill's body."""

    thought: str
    name: str


class RunCommand(NamedTuple):
    """Run a command line."""

    thought: str
    command: str


class Finish(NamedTuple):
    """Say that the turn is over."""

    thought: str


Action = AskForSkills | ReadSkill | RunCommand | Finish


class Seen(NamedTuple):
    """What an action gave."""

    text: str
    failed: bool


Play = Generator[Action, Seen, None]


def play(instruction: str, on_offer: tuple[skillbook.Card, ...], *, may_list: bool) -> Play:
    """Yield the agent's actions, ending with `Finish`.

    Args:
        instruction: What the agent is asked to do.
        on_offer: Skills the system prompt names.
        may_list: Whether skills can be asked for when the prompt names none.
    """
    brief = briefs.read(instruction)
    cards = on_offer
    if not cards and may_list:
        listed = yield AskForSkills("First I look at which skills are available.")
        cards = skillbook.cards_in_listing(listed.text)
    guides: list[tuple[str, skillbook.Guide]] = []
    for card in skillbook.chosen(cards, brief):
        loaded = yield ReadSkill(f"The skill {card.name} sounds like what is asked.", card.name)
        if loaded.failed:
            continue
        text = loaded.text
        file = skillbook.fitting_reference(text, brief)
        if file:
            command = f"cat {SKILLS}/{card.name}/{file}"
            text = (yield RunCommand(f"{card.name} has a reference for this.", command)).text
        guides.append((card.name, skillbook.open_guide(text, brief)))
    yield RunCommand("I look around.", _look(brief))
    followed = False
    for name, guide in guides:
        if guide.steps:
            followed = True
            yield from _follow(name, guide)
    delivered = followed
    if followed and brief.outputs:
        check = yield RunCommand("I check what I leave behind.", f"ls -l {' '.join(brief.outputs)}")
        delivered = not check.failed
    if not delivered:
        yield from _improvise(brief)
        return
    yield Finish("I followed the skill's steps and checked the result. The task is done.")


def _look(brief: briefs.TaskBrief) -> str:
    places = " ".join(brief.inputs[:2])
    return f"pwd; ls -la {places}".rstrip()


def _follow(name: str, guide: skillbook.Guide) -> Play:
    for number, command in enumerate(guide.steps, 1):
        seen = yield RunCommand(f"Step {number} of the skill {name}.", command)
        if seen.failed and guide.fallback:
            for other in guide.fallback:
                yield RunCommand(f"Step {number} failed; the skill {name} has a fallback.", other)
    for command in guide.verification:
        yield RunCommand(f"The skill {name} says how to verify.", command)


def _improvise(brief: briefs.TaskBrief) -> Play:
    attempts = instincts.attempts(brief)
    if not attempts:
        yield Finish("I do not know how to do this. I looked around and changed nothing.")
        return
    worked = True
    for command in attempts:
        seen = yield RunCommand("I know no skill for this; I try the obvious command.", command)
        for _ in range(_REPEATS - 1):
            if not seen.failed:
                break
            seen = yield RunCommand("That failed. I try it again.", command)
        worked = not seen.failed
    if worked:
        yield Finish("The command ran through; I submit this as my answer.")
    else:
        yield Finish("It keeps failing and I see no other way; I submit what there is.")
