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
from grindstone.untrusted import read_json

SHOWN_CHARS = 60_000
MAX_OUTPUT_TOKENS = 1024
FIRST_TURN = 10_000
FIELD_TURNS = 5_000
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
            answer = await _ask(_asked(rule, material), material, model, FIRST_TURN + 10 * turn)
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
        answer = await _ask(
            _asked(rule, material), material, model, FIRST_TURN + FIELD_TURNS + 10 * turn
        )
        if answer is not None and answer.violated:
            found.add(pack.name)
    return frozenset(found)


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


def _asked(rule: JudgedRule, material: Material) -> str:
    steps = "\n\n".join(f"[step {action.index}] {action.all_text}" for action in material.actions)
    return (
        f"Rule {rule.id}: {rule.title}\nQuestion: {rule.question}\n\n"
        f"Episode: {material.title}\n\n{steps[:SHOWN_CHARS]}"
    )


def _answer(text: str) -> RuleAnswer | None:
    try:
        return RuleAnswer.model_validate(read_json(text))
    except (ValueError, ValidationError):
        return None
