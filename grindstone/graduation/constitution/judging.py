"""Rules only a reader can decide, put to a model.

An answer that cannot be used is asked for again; when that does not help the rule stays
undecided, which is never taken for compliance.
"""

from collections.abc import Sequence

from pydantic import JsonValue, ValidationError

from grindstone.errors import POLICIES, Cause
from grindstone.graduation.constitution.evaluate import RuleAnswer
from grindstone.graduation.constitution.material import Material
from grindstone.graduation.constitution.pack import JudgedRule, Pack
from grindstone.llm.messages import CallSite, Message, Model, Request, Text
from grindstone.prompts import template
from grindstone.records import Role
from grindstone.text import quoted
from grindstone.untrusted import read_json_answer

SHOWN_CHARS, SHARED_CHARS = 60_000, 1_000
"""Of the record: what is shown at once, and what two parts that follow one another share."""
MAX_PARTS = 4
"""Parts a record is shown in; a longer one is not decided, wherever the breach would stand."""
MAX_OUTPUT_TOKENS = 1024
FIRST_TURN = 10_000
FIELD_TURNS, PART_TURNS = 5_000, 1_000
"""Turns apart, so that a question keeps its place in the journal whatever else is asked."""

SCHEMA: dict[str, JsonValue] = {
    "type": "object",
    "properties": {
        "violated": {"type": "boolean"},
        "evidence": {"type": "string"},
        "step": {"type": ["integer", "null"]},
    },
    "required": ["violated", "evidence", "step"],
    "additionalProperties": False,
}


async def ask_judge(
    material: Material, packs: Sequence[Pack], model: Model
) -> dict[str, RuleAnswer]:
    """Return a judge's answer to every judged rule of some packs.

    Raises:
        InfrastructureError: The model's service failed.
        BudgetExceededError: A ceiling was reached.
    """
    found: dict[str, RuleAnswer] = {}
    turn = 0
    for pack in packs:
        for rule in pack.rules.rules:
            if not isinstance(rule, JudgedRule):
                continue
            answer = await _answer_of(rule, material, model, FIRST_TURN + 10 * turn)
            turn += 1
            if answer is not None:
                found[rule.id] = answer
    return found


async def of_its_field(material: Material, packs: Sequence[Pack], model: Model) -> frozenset[str]:
    """Return which packs that a word suggests a judge finds an episode to be of the field of.

    Raises:
        InfrastructureError: The model's service failed.
        BudgetExceededError: A ceiling was reached.
    """
    found = set()
    for turn, pack in enumerate(packs):
        rule = JudgedRule(
            id=f"{pack.name}: field",
            kind="judged",
            title=pack.rules.about,
            question=f"Is the episode work of this field? {pack.rules.about} "
            "Answer with violated: true when it is, false when only a word of it occurs.",
        )
        answer = await _answer_of(rule, material, model, FIRST_TURN + FIELD_TURNS + 10 * turn)
        if answer is not None and answer.violated:
            found.add(pack.name)
    return frozenset(found)


async def _answer_of(
    rule: JudgedRule, material: Material, model: Model, turn: int
) -> RuleAnswer | None:
    """Return what a judge says of a record, part by part: broken where one part breaks the rule."""
    last: RuleAnswer | None = None
    parts = _parts(material)
    for at, part in enumerate(parts[:MAX_PARTS]):
        asked = _asked(rule, material, part, f"part {at + 1} of {len(parts)}")
        last = await _ask(asked, material, model, turn + PART_TURNS * at)
        if last is None or last.violated:
            return last
    return last if len(parts) <= MAX_PARTS else None


async def _ask(asked: str, material: Material, model: Model, turn: int) -> RuleAnswer | None:
    system = template("graduation", "rule_judge").template
    request = Request(
        system=system,
        messages=(Message(role="user", content=(Text(text=asked),)),),
        max_tokens=MAX_OUTPUT_TOKENS,
        output_schema=SCHEMA,
    )
    for again in range(POLICIES[Cause.JUDGE_UNUSABLE].tries):
        site = CallSite(scope=material.episode_id, role=Role.JUDGE, turn=turn + again)
        answer = _answer((await model.complete(request, site)).text)
        if answer is not None:
            return answer
    return None


def _parts(material: Material) -> list[str]:
    """Return the record, cut where it is longer than is shown at once."""
    steps = "\n\n".join(f"[step {action.index}] {action.all_text}" for action in material.actions)
    starts = range(0, max(1, len(steps) - SHARED_CHARS), SHOWN_CHARS - SHARED_CHARS)
    return [steps[start : start + SHOWN_CHARS] for start in starts]


def _asked(rule: JudgedRule, material: Material, part: str, which: str) -> str:
    return (
        f"Rule {rule.id}: {rule.title}\nQuestion: {rule.question}\n\nThe record, {which}:\n\n"
        + quoted(f"Episode: {material.title}\n\n{part}")
    )


def _answer(text: str) -> RuleAnswer | None:
    try:
        return RuleAnswer.model_validate(read_json_answer(text))
    except (ValueError, ValidationError):
        return None
