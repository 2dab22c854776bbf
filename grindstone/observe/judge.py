"""A model's estimate of an attempt, from behaviour alone (adaptive-skill, phase 2).

An answer that cannot be used is asked for again; when that does not help it is an error of
the judge, never a score.
"""

import re

from pydantic import JsonValue, ValidationError

from grindstone.errors import POLICIES, Cause, InfrastructureError
from grindstone.llm.messages import CallSite, Message, Model, Request, Response, Text
from grindstone.observe.observation import JudgeVerdict, UnlabelledObservation
from grindstone.prompts import filled
from grindstone.untrusted import UntrustedError, read_json_answer

PASSING_SCORE = 7
"""Below it an attempt counts as failed or partial (adaptive-skill's table)."""

_MAX_OUTPUT_TOKENS = 1024

SCHEMA: dict[str, JsonValue] = {
    "type": "object",
    "properties": {
        # Numeric bounds are not enforced by the service, an enumeration is.
        "score": {"type": "integer", "enum": list(range(11))},
        "category": {"type": "string"},
        "outcome": {"type": "string"},
        "failure_reason": {"type": "string"},
    },
    "required": ["score", "category", "outcome", "failure_reason"],
    "additionalProperties": False,
}


async def judge(model: Model, observation: UnlabelledObservation, site: CallSite) -> JudgeVerdict:
    """Return the judge's verdict on one attempt.

    Args:
        model: The judge.
        observation: What is judged; it has no labels, so none can be repeated.
        site: The first call's place. A further try uses the next turn number, so leave
            room for `POLICIES[Cause.JUDGE_UNUSABLE].tries` turns between two judgements
            of one scope.

    Raises:
        InfrastructureError: JUDGE_UNUSABLE when no try gave a usable answer, or whatever
            the model's calls raise.
        BudgetExceededError: Before a call, when a ceiling is reached.
    """
    asked = observation.model_copy(update={"judgement": None}).to_markdown()
    messages = [Message(role="user", content=(Text(text=asked),))]
    problem = ""
    for attempt in range(POLICIES[Cause.JUDGE_UNUSABLE].tries):
        request = Request(
            system=filled("observe", "judge"),
            messages=tuple(messages),
            max_tokens=_MAX_OUTPUT_TOKENS,
            output_schema=SCHEMA,
        )
        response = await model.complete(
            request, site.model_copy(update={"turn": site.turn + attempt})
        )
        try:
            return read_answer(response)
        except ValueError as error:
            problem = _in_few_words(error)
        again = filled("observe", "judge_again", problem=problem)
        said = response.text.strip() or "(no text)"
        messages += [
            Message(role="assistant", content=(Text(text=said),)),
            Message(role="user", content=(Text(text=again),)),
        ]
    raise InfrastructureError(Cause.JUDGE_UNUSABLE, f"{observation.task_id}: {problem}")


def read_answer(response: Response) -> JudgeVerdict:
    """Return the verdict in a response.

    Raises:
        ValueError: It cannot be used; the message says why in a few words.
    """
    if response.stop_reason not in ("end_turn", "stop_sequence"):
        raise ValueError(f"it ended with {response.stop_reason}")
    given = read_json_answer(response.text)
    if not isinstance(given, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - of the answer, not a type
    score = given.get("score")
    if isinstance(score, bool) or not isinstance(score, int):
        raise ValueError("score is not a whole number")  # noqa: TRY004
    verdict = JudgeVerdict.model_validate(given)
    category = re.sub(r"[^a-z0-9]+", "-", verdict.category.lower()).strip("-")
    reason = " ".join(verdict.failure_reason.split())
    if not category:
        raise ValueError("category is empty")
    if verdict.score < PASSING_SCORE and not reason:
        raise ValueError(f"failure_reason is empty although the score is below {PASSING_SCORE}")
    return JudgeVerdict(
        score=verdict.score,
        category=category[:64],
        outcome=" ".join(verdict.outcome.split())[:500],
        failure_reason=reason[:300] if verdict.score < PASSING_SCORE else "",
    )


def _in_few_words(error: ValueError) -> str:
    if isinstance(error, UntrustedError):
        return f"it {error}"
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error)
