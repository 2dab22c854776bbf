"""Steps that write skills outside the evolver: a task's own, shorter ones, drafts, promotions."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Literal

from grindstone.base import Frozen
from grindstone.benchmark import load_task
from grindstone.boundary import step_boundary
from grindstone.digest import digest
from grindstone.errors import Cause, InfrastructureError
from grindstone.evolve import (
    WriterResult,
    distill_bloated,
    draft_from_success,
    evolve_task_skill,
    promote_drafts,
)
from grindstone.evolve.answers import ANSWERS
from grindstone.evolve.behaviour import recall_behaviour
from grindstone.evolve.gate_conditions import GateConditions
from grindstone.evolve.guard import Answers, Guard, leak_guard
from grindstone.evolve.observing import observe
from grindstone.evolve.record import LearningStep, writing_rows
from grindstone.ledger.recall import recall
from grindstone.llm.messages import Model
from grindstone.records import utc_now
from grindstone.runs.progress import Learned
from grindstone.settings import FeedbackLevel
from grindstone.tasks.evolve import undone
from grindstone.tasks.runtime import Runtime, current_runtime
from grindstone.tasks.step import StepSpec, kept, step
from grindstone.workspace import Snapshot

WriteKind = Literal["task_skill", "success", "promote", "distill"]

_OF_THE_TASK = {
    *(Cause.IMAGE_BUILD, Cause.SANDBOX_START, Cause.SANDBOX_IO, Cause.CONTAINER_LOST),
    Cause.INTERNAL,
}
"""What is wrong with one task's sandbox, or nobody foresaw: the run goes on without the skill."""


class WriteSpec(StepSpec):
    """One skill to write."""

    kind: WriteKind
    base: Snapshot
    feedback_level: FeedbackLevel
    no_direct_answers: bool
    promotion_threshold: int = 1
    task_dirs: dict[str, Path]  # the task it is about first; all are guarded
    conditions: GateConditions | None = None  # what the change is weighed on; None: no gate
    task_id: str = ""
    episode_id: str = ""  # of the attempt it learns from; empty: from the task's text alone

    @property
    def step(self) -> str:
        """The step's name within the run."""
        what = f"{self.kind}-{self.task_id}" if self.task_id else self.kind
        first = "" if self.episode_id or self.kind == "promote" else "-first"
        return f"batch-{self.batch}/cycle-{self.cycle}/{what}{first}"

    @property
    def cache_key(self) -> str:
        """What a step's stored result is found by."""
        return digest(
            {
                "run": self.run_key,
                "step": self.step,
                "tree": self.base.tree,
                "episode": self.episode_id,
            }
        )


class Written(Frozen):
    """What a step left."""

    after: Snapshot
    result: WriterResult


@step("write-skill", "{spec.kind} {spec.task_id}")
async def _write_skill(spec: WriteSpec) -> Written:
    runtime = current_runtime()
    started = utc_now()
    model = runtime.models.get(spec.model_id, spec.region)
    result = await _writer(spec, runtime, model)
    changed = bool(result.written or result.promoted)
    after = (
        await asyncio.to_thread(runtime.workspace.snapshot, result.commit) if changed else spec.base
    )
    made = LearningStep(
        run_key=spec.run_key,
        agent_id=runtime.agent_id,
        batch=spec.batch,
        cycle=spec.cycle,
        before=spec.base,
        after=after,
        files=await runtime.snapshot(after.commit),
        cost_usd=runtime.cost_of(f"{spec.run_key}/{spec.step}"),
        started=started,
    )
    rows = await asyncio.to_thread(
        writing_rows, made, result, kind=spec.kind, name=spec.step, task_id=spec.task_id
    )
    for table in rows:
        await runtime.append(table)
    await runtime.record_calls()
    if changed:
        names = ", ".join((*result.written, *result.promoted))
        runtime.tell(Learned(*_in_words(spec, result, names)))
    return Written(after=after, result=result)


async def write_skill(spec: WriteSpec) -> Written:
    """Write one skill, once; found again when the run is resumed.

    A writing that fails for reasons nobody foresaw has changed nothing, and neither has one whose
    task has no sandbox to run its solution in: what cannot be checked is not written, and the
    attempt at that task tells why.
    """
    try:
        with step_boundary(f"writing {spec.step}"):
            await current_runtime().steering.allowed()
            return await kept(_write_skill, spec.home, spec.run_key)(spec)
    except InfrastructureError as error:
        if error.cause not in _OF_THE_TASK:
            raise
        reason = str(error)
        if error.cause is not Cause.INTERNAL:
            reason = f"{spec.step}: not written, it cannot be checked: {reason.splitlines()[0]}"
        after = await undone(spec.base, f"{spec.run_key}/{spec.step}", reason)
        return Written(after=after, result=WriterResult(step=spec.step))


def _in_words(spec: WriteSpec, result: WriterResult, names: str) -> tuple[str, str]:
    """Return what changed and how: an evolution by its tag, what has no number by its kind."""
    if spec.kind == "success":
        return "drafted from success", names
    if not result.evo_number:
        return spec.kind.replace("_", " "), names
    done = "promoted" if spec.kind == "promote" else "shortened"
    return f"evo-{result.evo_number}", f"{done} {names}"


async def _writer(spec: WriteSpec, runtime: Runtime, model: Model) -> WriterResult:
    step = f"{spec.run_key}/{spec.step}"
    if spec.kind == "promote":  # a draft was guarded when it was written
        return await promote_drafts(
            runtime.workspace,
            threshold=spec.promotion_threshold,
            step=step,
            conditions=spec.conditions,
        )
    answers = Answers(runtime.provider, spec.home / ANSWERS, spec.labels)
    guard = Guard(partial(leak_guard, spec.task_dirs.values(), answers))
    leaks = guard if spec.no_direct_answers else None
    if spec.kind == "distill":
        return await distill_bloated(
            runtime.workspace, model=model, step=step, leaks=leaks, conditions=spec.conditions
        )
    about = load_task(spec.task_dirs[spec.task_id])
    ids = [spec.episode_id] if spec.episode_id else []
    if spec.kind == "task_skill":
        attempts = await asyncio.to_thread(recall, runtime.ledger, spec.run_key, ids)
        return await evolve_task_skill(
            runtime.workspace,
            model=model,
            task_id=about.task_id,
            instruction=about.instruction,
            category=about.category,
            observation=observe(attempts[0], about, spec.feedback_level) if attempts else None,
            step=step,
            leaks=leaks,
        )
    [seen] = await asyncio.to_thread(recall_behaviour, runtime.ledger, spec.run_key, ids)
    return await draft_from_success(
        runtime.workspace,
        model=model,
        task_id=about.task_id,
        instruction=about.instruction,
        category=about.category,
        trajectory=seen.trajectory,
        twins=about.twins,
        step=step,
        leaks=leaks,
    )
