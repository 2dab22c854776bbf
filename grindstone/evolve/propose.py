"""From files and a prompt to reviewed changes: a session, its review, one chance to mend."""

from typing import NamedTuple

from grindstone.evolve.permissions import ChangeReview, Checks, RefusedChange, review
from grindstone.evolve.prompts import refused_message
from grindstone.evolve.session import EvolverSession
from grindstone.records import Trajectory, Usage
from grindstone.settings import EvolveScope
from grindstone.workspace.changes import Change, Files
from grindstone.workspace.manifest import Manifest


class Proposal(NamedTuple):
    """What an evolver achieved on a copy; nothing outside the copy has changed."""

    changes: tuple[Change, ...]
    refusals: tuple[RefusedChange, ...]  # told and mended ones, and those that stood at the end
    usage: Usage
    trajectory: Trajectory


class ReviewRules(NamedTuple):
    """What an evolver's changes are judged by."""

    scope: EvolveScope
    manifest: Manifest
    checks: Checks


async def propose(
    session: EvolverSession, copy: Files, prompt: str, rules: ReviewRules
) -> Proposal:
    """Let an evolver change a copy, and return what of it may stand.

    What the first review refuses is undone in the copy and told to the evolver, which may
    mend it once; what the second refuses is left out.

    Args:
        session: Opened on the copy.
        copy: The files as the session was given them.
        prompt: What the evolver is asked.
        rules: Of the review.

    Raises:
        InfrastructureError: The sandbox or the model failed.
        BudgetExceededError: A ceiling was reached.
    """
    await session.talk(prompt)
    first = await _reviewed(session, copy, rules)
    refusals = first.refusals
    last = first
    if first.refusals and not session.exhausted:
        await session.restore(first.undo, copy)
        await session.talk(refused_message(first.refusals))
        last = await _reviewed(session, copy, rules)
        refusals += tuple(each for each in last.refusals if each not in first.refusals)
    return Proposal(last.accepted, refusals, session.usage, session.trajectory)


async def _reviewed(session: EvolverSession, before: Files, rules: ReviewRules) -> ChangeReview:
    collected = await session.collect()
    if collected.uncarriable:
        await session.start_over()
        reason = f"nothing could be carried out, and all is as it was: {collected.uncarriable}"
        return ChangeReview((), (RefusedChange(path=".", rule="carried", reason=reason),), ())
    return review(
        before,
        collected.files,
        rules.scope,
        manifest=rules.manifest,
        checks=rules.checks,
        specials=collected.specials,
    )
