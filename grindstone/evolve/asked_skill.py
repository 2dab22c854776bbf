"""Asking a model for one skill; once more, with the reasons, when the answer cannot be used."""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from grindstone.evolve.checks import check_format, unseen_in
from grindstone.evolve.guard import Guard
from grindstone.evolve.permissions import RefusedChange
from grindstone.llm.messages import CallSite, Message, Model, Request, Text
from grindstone.prompts import filled
from grindstone.records import Usage
from grindstone.skills.format import Skill, render
from grindstone.skills.frontmatter import SkillError
from grindstone.skills.library import SKILL_FILE
from grindstone.skills.prompting import Prompt
from grindstone.skills.quality import check_quality

TRIES = 2
_MAX_OUTPUT_TOKENS = 8192


class AskedSkill(NamedTuple):
    """What came of asking; no skill: there is none to write, or no answer could be used."""

    skill: Skill | None
    refusals: tuple[RefusedChange, ...]  # of the last answer; none where it can be used
    usage: Usage


async def ask_skill(
    model: Model,
    prompt: Prompt,
    site: CallSite,
    path: str,
    read: Callable[[str], Skill | None],
    judge: Callable[[Skill, str], Awaitable[Sequence[RefusedChange]]],
) -> AskedSkill:
    """Ask for a skill; once more, with the reasons, when the answer cannot be used.

    Args:
        model: Who answers.
        prompt: What is asked.
        site: On whose behalf.
        path: Where the skill would be kept; named in refusals.
        read: The skill an answer spells; None where it says there is nothing to write.
        judge: What is wrong with it.
    """
    messages = [Message(role="user", content=(Text(text=prompt.user),))]
    usage = Usage()
    refusals: tuple[RefusedChange, ...] = ()
    for attempt in range(TRIES):
        request = Request(
            system=prompt.system, messages=tuple(messages), max_tokens=_MAX_OUTPUT_TOKENS
        )
        response = await model.complete(
            request, site.model_copy(update={"turn": site.turn + attempt})
        )
        usage = usage + response.usage
        try:
            if response.stop_reason not in ("end_turn", "stop_sequence"):
                raise SkillError("answer", f"ended with {response.stop_reason}", "a whole answer")
            skill = read(response.text)
            refusals = tuple(await judge(skill, path)) if skill is not None else ()
            if not refusals:
                return AskedSkill(skill, (), usage)
        except SkillError as error:
            refusals = (RefusedChange(path=path, rule="skill_format", reason=str(error)),)
        said = response.text.strip() or "(no text)"
        problem = "; ".join(each.reason for each in refusals)
        again = filled("evolve", "answer_again", problem=problem)
        messages += [
            Message(role="assistant", content=(Text(text=said),)),
            Message(role="user", content=(Text(text=again),)),
        ]
    return AskedSkill(None, refusals, usage)


async def leaking(skill: Skill, path: str, leaks: Guard | None) -> list[RefusedChange]:
    """Judge a skill by what it must not hold: hidden text, and answers where that is checked."""
    reasons = await leaks.reasons(path, render(skill)) if leaks is not None else ()
    return [
        *(RefusedChange(path=path, rule="hidden_text", reason=each) for each in unseen_in(skill)),
        *(RefusedChange(path=path, rule="no_direct_answers", reason=reason) for reason in reasons),
    ]


async def unfit(skill: Skill, leaks: Guard | None) -> list[RefusedChange]:
    """Judge a draft as a skill of the library, which it may become."""
    path = f"skills/{skill.name}/{SKILL_FILE}"
    return [
        *(
            RefusedChange(path=path, rule="skill_format", reason=reason)
            for reason in check_format(path, render(skill))
        ),
        *(
            RefusedChange(path=path, rule="quality", reason=violation.message)
            for violation in check_quality(skill, max_chars=None)
        ),
        *await leaking(skill, path, leaks),
    ]
