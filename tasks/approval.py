"""Asking a person in the Prefect UI, and what they said."""

from collections.abc import Callable
from typing import Literal

from prefect import get_client
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import apause_flow_run
from prefect.input import RunInput
from prefect.runtime import flow_run
from prefect.states import Running
from pydantic import Field

from grindstone.base import Frozen
from grindstone.errors import InputError
from grindstone.graduation.rules.people import named_human
from grindstone.report.words import duration
from grindstone.runs.progress import Note
from grindstone.tasks.flow_runs import run_log

NOBODY_ANSWERED = "nobody"
"""Who is named where no person gave an answer."""


_HOW_TO_ANSWER = (
    "A person's answer is needed: Resume, in the menu ⋮ of this run's page, shows the question. "
    "Without one within {} it is refused."
)


class Approval(RunInput):
    """What a person answers."""

    decision: Literal["refuse", "approve"] = Field("refuse", description="Your answer.")
    name: str = Field("", description="Your name; it goes into the audit trail.")
    reason: str = Field("", description="Why, for those who read the trail.")


class Answer(Frozen):
    """A named person's answer, or that nobody answered."""

    approved: bool
    by: str
    reason: str = ""


async def ask(
    question: str,
    *,
    timeout_s: int,
    key: str,
    person: Callable[[str], str] = named_human,
) -> Answer:
    """Pause the flow until a person answers under Resume; silence and namelessness refuse.

    Args:
        question: Markdown shown above the form.
        timeout_s: How long to wait.
        key: Tells several pauses of one run apart.
        person: Returns the name of who may answer; raises `InputError` where nobody may.
    """
    form = Approval.with_initial_data(description=question)
    again = ""
    for number in range(3):
        run_log()(Note(_HOW_TO_ANSWER.format(duration(timeout_s))))
        shown = form if not again else Approval.with_initial_data(description=again + question)
        try:
            given = await apause_flow_run(
                wait_for_input=shown, timeout=timeout_s, key=f"{key}-{number}", poll_interval=1
            )
        except FlowPauseTimeout:
            await _go_on()
            return Answer(
                approved=False, by=NOBODY_ANSWERED, reason=f"no answer within {timeout_s} s"
            )
        try:
            name = person(given.name)
        except InputError as error:
            again = f"**Your name is needed; nothing is approved without one.** {error}\n\n"
            continue
        return Answer(approved=given.decision == "approve", by=name, reason=given.reason)
    return Answer(approved=False, by=NOBODY_ANSWERED, reason="no name was given")


async def _go_on() -> None:
    """Set the run, which the time limit leaves paused, to running: a paused one cannot pause."""
    async with get_client() as client:
        await client.set_flow_run_state(flow_run.id, Running(), force=True)
