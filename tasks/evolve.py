"""Evolving a workspace as a cached, retryable step."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from grindstone.agents.agent_file import AgentFile
from grindstone.base import Frozen
from grindstone.benchmark import load_task
from grindstone.boundary import step_boundary
from grindstone.digest import digest
from grindstone.errors import InternalError
from grindstone.evolve import EvolutionEngine, EvolutionResult, EvolveConfig
from grindstone.evolve.answers import ANSWERS
from grindstone.evolve.behaviour import JudgedAttempt, observe_behaviour, recall_behaviour
from grindstone.evolve.engine import last_refusals
from grindstone.evolve.gate_conditions import GateConditions
from grindstone.evolve.observing import observe
from grindstone.evolve.prompts import Observed
from grindstone.evolve.record import LearningStep, evolution_rows
from grindstone.ledger import Ledger
from grindstone.ledger.recall import recall
from grindstone.ledger.tables.runs import EvolutionRow
from grindstone.observe.judge import PASSING_SCORE
from grindstone.observe.observation import LabelledObservation
from grindstone.records import utc_now
from grindstone.runs.progress import Learned
from grindstone.settings import EvolveScope, FeedbackLevel, SuccessMode
from grindstone.tasks.runtime import current_runtime
from grindstone.tasks.step import StepSpec, kept, step
from grindstone.workspace import Snapshot


class EvolveSpec(StepSpec):
    """One evolution to make."""

    step: str  # unique within the run, such as "batch-3/cycle-1"
    base: Snapshot
    scope: EvolveScope
    feedback_level: FeedbackLevel
    episode_ids: tuple[str, ...]
    task_dirs: dict[str, Path]  # task id → folder, of every task observed
    success_mode: SuccessMode = SuccessMode.OFF
    evolver: AgentFile | None = None  # the program that evolves, where it is one of others
    conditions: GateConditions | None = None  # what the change is weighed on; None: no gate
    judged: tuple[JudgedAttempt, ...] | None = None  # given: behaviour alone is shown, no verdict

    @property
    def cache_key(self) -> str:
        """What a step's stored result is found by."""
        return digest(
            {
                "run": self.run_key,
                "step": self.step,
                "tree": self.base.tree,
                "episodes": list(self.episode_ids),
            }
        )


class Evolved(Frozen):
    """What an evolution left."""

    after: Snapshot
    result: EvolutionResult


@step("evolve", "{spec.step}")
async def _evolve(spec: EvolveSpec) -> Evolved:
    runtime = current_runtime()
    observations = await asyncio.to_thread(_observe, spec, runtime.ledger)
    started = utc_now()
    engine = EvolutionEngine(
        EvolveConfig.of(spec.scope, evolver_model=spec.model_id),
        model=runtime.models.get(spec.model_id, spec.region),
        provider=runtime.provider,
        labels=spec.labels,
        answers_dir=spec.home / ANSWERS,
        agent=spec.evolver,
    )
    scope = f"{spec.run_key}/{spec.step}"
    result = await engine.aevolve(
        runtime.workspace,
        observations,
        step=scope,
        refused=await asyncio.to_thread(last_refusals, runtime.workspace),
        success_mode=spec.success_mode,
        conditions=spec.conditions,
    )
    after = (
        await asyncio.to_thread(runtime.workspace.snapshot, result.commit)
        if result.changed
        else spec.base
    )
    evolved = Evolved(after=after, result=result.model_copy(update={"trajectory": None}))
    made = LearningStep(
        run_key=spec.run_key,
        agent_id=runtime.agent_id,
        batch=spec.batch,
        cycle=spec.cycle,
        before=spec.base,
        after=after,
        files=await runtime.snapshot(after.commit),
        cost_usd=runtime.cost_of(scope),
        started=started,
    )
    rows = await asyncio.to_thread(evolution_rows, made, result, _taught_by(observations))
    for table in rows:
        await runtime.append(table)
    await runtime.record_calls()
    runtime.tell(Learned(result.tag, _in_words(result)))
    return evolved


async def evolve(spec: EvolveSpec) -> Evolved:
    """Let the evolver learn from some attempts, once; found again when the run is resumed.

    One that fails for reasons nobody foresaw has changed nothing.
    """
    try:
        with step_boundary(f"evolution {spec.step}"):
            await current_runtime().steering.allowed()
            return await kept(_evolve, spec.home, spec.run_key)(spec)
    except InternalError as error:
        after = await undone(spec.base, f"{spec.run_key}/{spec.step}", str(error))
        nothing = EvolutionResult(
            evo_number=0, step=spec.step, skills_before=0, skills_after=0, stop_reason="internal"
        )
        return Evolved(after=after, result=nothing)


async def undone(base: Snapshot, step: str, reason: str) -> Snapshot:
    """Return the workspace without what a step that failed had committed, if anything.

    Args:
        base: The workspace before the step.
        step: `<run_key>/<step>`.
        reason: Why it failed; goes into the history.
    """
    runtime = current_runtime()
    runtime.note(reason)

    def undo() -> Snapshot:
        workspace = runtime.workspace
        made = workspace.find_step(step)
        if made is None:
            return base
        ref = workspace.rollback(base.commit, reason=reason, step=f"{step}/undone")
        if made.number is not None:  # so that the report counts nothing of it as learned
            row = EvolutionRow(
                run_key=runtime.run_key,
                evo_number=made.number,
                step="undone",
                agent_id=runtime.agent_id,
                commit_before=made.commit,
                commit_after=ref.commit,
                tree_before=made.tree,
                tree_after=ref.tree,
                accepted=False,
                note=reason,
                at=utc_now(),
            )
            runtime.ledger.append([row], run_key=runtime.run_key)
        return workspace.snapshot(ref.commit)

    return await asyncio.to_thread(undo)


def _observe(spec: EvolveSpec, ledger: Ledger) -> Sequence[Observed]:
    """Return what the evolver sees: labelled at the feedback level, or judged behaviour."""
    if spec.judged is None:
        return [
            observe(item, load_task(spec.task_dirs[item.episode.task_id]), spec.feedback_level)
            for item in recall(ledger, spec.run_key, spec.episode_ids)
        ]
    judged = {item.episode_id: item for item in spec.judged}
    return [
        observe_behaviour(
            seen,
            load_task(spec.task_dirs[judged[seen.episode_id].task_id]),
            judged[seen.episode_id].verdict,
        )
        for seen in recall_behaviour(ledger, spec.run_key, spec.episode_ids)
    ]


def _taught_by(observations: Sequence[Observed]) -> tuple[str, ...]:
    """Return the tasks whose failures, real or judged, were there to learn from."""
    return tuple(
        sorted(
            {
                item.task_id
                for item in observations
                if isinstance(item, LabelledObservation)
                or item.judgement is None
                or item.judgement.score < PASSING_SCORE
            }
        )
    )


def _in_words(result: EvolutionResult) -> str:
    changed = result.in_words("added", "changed", "removed", "edited")
    refused = f"{len(result.refusals)} refused" if result.refusals else ""
    return "; ".join(filter(None, [changed, refused])) or "no change"
