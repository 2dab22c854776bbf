"""Rules only a reader can decide, put to a model.

An answer that cannot be used is asked for again; when that does not help the rule stays
undecided, which is never taken for compliance.
"""

from collections.abc import Sequence
from importlib.resources import files

from pydantic import JsonValue, ValidationError

from grindstone.errors import POLICIES, Cause
from grindstone.graduation.constitution.evaluate import Answer, applies
from grindstone.graduation.constitution.material import Material
from grindstone.graduation.constitution.pack import JudgedRule, Pack
from grindstone.llm.messages import CallSite, Message, Model, Request, Text
from grindstone.records import Role
from grindstone.untrusted import read_json

SHOWN_CHARS = 60_000
MAX_OUTPUT_TOKENS = 1024

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


async def ask_judge(material: Material, packs: Sequence[Pack], model: Model) -> dict[str, Answer]:
    """Return a judge's answer to every judged rule of the packs that apply.

    Raises:
        InfrastructureError: The model's service failed.
        BudgetExceededError: A ceiling was reached.
    """
    system = files("grindstone.graduation").joinpath("prompts/rule_judge.md").read_text("utf-8")
    found: dict[str, Answer] = {}
    turn = 0
    for pack in packs:
        if not applies(pack, material):
            continue
        for rule in pack.rules.rules:
            if not isinstance(rule, JudgedRule):
                continue
            request = Request(
                system=system,
                messages=(Message(role="user", content=(Text(text=_asked(rule, material)),)),),
                max_tokens=MAX_OUTPUT_TOKENS,
                output_schema=SCHEMA,
            )
            for _ in range(POLICIES[Cause.JUDGE_UNUSABLE].tries):
                site = CallSite(scope=material.episode_id, role=Role.JUDGE, turn=10_000 + turn)
                turn += 1
                response = await model.complete(request, site)
                answer = _answer(response.text)
                if answer is not None:
                    found[rule.id] = answer
                    break
    return found


def _asked(rule: JudgedRule, material: Material) -> str:
    steps = "\n\n".join(f"[step {action.index}] {action.all_text}" for action in material.actions)
    return (
        f"Rule {rule.id}: {rule.title}\nQuestion: {rule.question}\n\n"
        f"Episode: {material.title}\n\n{steps[:SHOWN_CHARS]}"
    )


def _answer(text: str) -> Answer | None:
    try:
        return Answer.model_validate(read_json(text))
    except (ValueError, ValidationError):
        return None
