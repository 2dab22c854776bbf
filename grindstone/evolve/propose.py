"""From files and a prompt to reviewed changes: a session, its review, one chance to mend."""

from pathlib import Path
from typing import NamedTuple

from grindstone.agents.agent_file import AgentFile
from grindstone.evolve.permissions import ChangeReview, Checks, RefusedChange, review
from grindstone.evolve.prompts import refused_message
from grindstone.evolve.session import EvolverSession, SessionLimits
from grindstone.llm.messages import CallSite, Model
from grindstone.records import Trajectory, Usage
from grindstone.sandbox.protocol import SandboxProvider
from grindstone.settings import EvolveScope
from grindstone.workspace.changes import Change, Files
from grindstone.workspace.manifest import Manifest


class Proposal(NamedTuple):
    """What an evolver achieved on a copy; nothing outside the copy has changed."""

    changes: tuple[Change, ...]
    refusals: tuple[RefusedChange, ...]  # told and mended ones, and those that stood at the end
    usage: Usage
    trajectory: Trajectory


async def evolve_copy(
    copy: Files,
    *,
    model: Model,
    provider: SandboxProvider,
    scope: EvolveScope,
    manifest: Manifest,
    prompt: str,
    observation: str,
    site: CallSite,
    limits: SessionLimits,
    checks: Checks,
    labels: dict[str, str] | None = None,
    command_log: Path | None = None,
    agent: AgentFile | None = None,
) -> Proposal:
    """Let an evolver change a copy, and return what of it may stand.

    What the first review refuses is undone in the copy and told to the evolver, which may
    mend it once; what the second refuses is left out. Its commands are remembered in the file
    `command_log`, where one is named, so that a step made again asks the model nothing twice. With
    an `agent` its program is the evolver.

    Raises:
        InfrastructureError: The sandbox or the model failed.
        BudgetExceededError: A ceiling was reached.
    """
    async with EvolverSession(
        model,
        provider,
        site=site,
        copy=copy,
        observation=observation,
        limits=limits,
        labels=labels,
        command_log=command_log,
        agent=agent,
    ) as session:
        await session.talk(prompt)
        first = await _reviewed(session, copy, scope, manifest, checks)
        refusals = first.refusals
        last = first
        if first.refusals and not session.exhausted:
            await session.restore(first.undo, copy)
            await session.talk(refused_message(first.refusals))
            last = await _reviewed(session, copy, scope, manifest, checks)
            refusals += tuple(each for each in last.refusals if each not in first.refusals)
        return Proposal(last.accepted, refusals, session.usage, session.trajectory)


async def _reviewed(
    session: EvolverSession,
    before: Files,
    scope: EvolveScope,
    manifest: Manifest,
    checks: Checks,
) -> ChangeReview:
    collected = await session.collect()
    if collected.uncarriable:
        await session.start_over()
        reason = f"nothing could be carried out, and all is as it was: {collected.uncarriable}"
        return ChangeReview((), (RefusedChange(path=".", rule="carried", reason=reason),), ())
    return review(
        before,
        collected.files,
        scope,
        manifest=manifest,
        checks=checks,
        specials=collected.specials,
    )
