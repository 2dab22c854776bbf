"""Judging attempts from behaviour as cached steps, and how far the judge can be trusted."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from prefect import task

from grindstone.base import Frozen
from grindstone.benchmark import load_task
from grindstone.boundary import step_boundary
from grindstone.digest import digest
from grindstone.errors import InfrastructureError, InternalError
from grindstone.evolve.behaviour import JudgedAttempt, observe_behaviour, recall_behaviour
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.ledger.tables.attempts import JudgeVerdictRow, VerdictRow
from grindstone.ledger.tables.runs import PatternRow
from grindstone.llm.messages import CallSite
from grindstone.observe.calibration import Calibration, calibrate
from grindstone.observe.judge import judge
from grindstone.observe.observation import JudgeVerdict
from grindstone.observe.patterns import JudgedTask, Pattern, find_patterns
from grindstone.records import Role
from grindstone.tasks.artifacts import artifact_key, artifact_link, publish_table, trajectory_key
from grindstone.tasks.runtime import CURRENT, Runtime
from grindstone.tasks.step import key_of


class JudgeSpec(Frozen):
    """One attempt to judge."""

    home: Path
    run_key: str
    episode_id: str
    task_id: str
    task_dir: Path
    model_id: str
    region: str | None = None
    cycle: int = 0

    @property
    def cache_key(self) -> str:
        """What a step's stored result is found by."""
        return digest({"run": self.run_key, "episode": self.episode_id, "judge": self.model_id})


@task(
    name="judge",
    task_run_name="judge {spec.task_id} · cycle {spec.cycle}",
    cache_key_fn=key_of("spec"),
    persist_result=True,
    result_serializer="json",
    cache_result_in_memory=False,
)
async def _judge(spec: JudgeSpec) -> JudgedAttempt:
    """Judge once; the judge's own retries are within, and its failure is an answer too."""
    runtime = CURRENT.get()
    assert runtime is not None
    judged = JudgedAttempt(episode_id=spec.episode_id, task_id=spec.task_id)
    try:
        verdict = await _verdict(spec, runtime)
    except InfrastructureError as error:
        judged = judged.model_copy(update={"error": str(error)[:500] or error.cause.value})
    else:
        judged = judged.model_copy(update={"verdict": verdict})
    said = judged.verdict.model_dump() if judged.verdict is not None else {}
    row = JudgeVerdictRow(
        episode_id=spec.episode_id,
        task_id=spec.task_id,
        cycle=spec.cycle,
        model=spec.model_id,
        error=judged.error,
        **said,
    )
    await asyncio.to_thread(runtime.ledger.append, [row], run_key=spec.run_key)
    return judged


async def _verdict(spec: JudgeSpec, runtime: Runtime) -> JudgeVerdict:
    seen = await asyncio.to_thread(
        recall_behaviour, runtime.ledger, spec.run_key, [spec.episode_id]
    )
    about = await asyncio.to_thread(load_task, spec.task_dir)
    site = CallSite(
        role=Role.JUDGE,
        scope=f"{spec.run_key}/judge/{spec.episode_id}",
        turn=0,
        task_id=spec.task_id,
    )
    model = runtime.models.get(spec.model_id, spec.region)
    return await judge(model, observe_behaviour(seen[0], about), site)


async def judge_attempts(
    specs: Sequence[JudgeSpec], slots: asyncio.Semaphore
) -> list[JudgedAttempt]:
    """Judge attempts side by side; one the judge could not use has no verdict and no score.

    Raises:
        BudgetExceededError: A ceiling was reached.
    """

    async def one(spec: JudgeSpec) -> JudgedAttempt:
        stored = _judge.with_options(result_storage=Home.at(spec.home).run(spec.run_key).results)
        try:
            with step_boundary(f"judgement of {spec.task_id} · cycle {spec.cycle}"):
                async with slots:
                    return await stored(spec)
        except InternalError as error:
            return JudgedAttempt(
                episode_id=spec.episode_id, task_id=spec.task_id, error=str(error)[:500]
            )

    results = await asyncio.gather(*map(one, specs), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if isinstance(result, JudgedAttempt)]


async def note_patterns(
    runtime: Runtime, judged: Sequence[JudgedAttempt], *, cycle: int
) -> tuple[Pattern, ...]:
    """Keep and show the failures that at least two tasks of a cycle share."""
    patterns = find_patterns(
        JudgedTask(task_id=item.task_id, verdict=item.verdict)
        for item in judged
        if item.verdict is not None
    )
    rows = [
        PatternRow(run_key=runtime.run_key, cycle=cycle, **pattern.model_dump())
        for pattern in patterns
    ]
    if rows:
        await asyncio.to_thread(runtime.ledger.append, rows, run_key=runtime.run_key)
    shared = {task_id: pattern.reason for pattern in patterns for task_id in pattern.task_ids}
    await publish_table(
        artifact_key("judge", runtime.agent_id),
        [
            {
                "task": item.task_id,
                "score": "-" if item.verdict is None else item.verdict.score,
                "category": item.verdict.category if item.verdict else "",
                "outcome": item.verdict.outcome if item.verdict else f"no verdict: {item.error}",
                "failure reason": item.verdict.failure_reason if item.verdict else "",
                "pattern": shared.get(item.task_id, ""),
                "trajectory": artifact_link(trajectory_key(item.task_id), "read it"),
            }
            for item in judged
        ],
        description=f"What the judge saw in cycle {cycle}: {len(patterns)} patterns",
    )
    return patterns


def judge_calibration(ledger: Ledger, run_key: str) -> Calibration | None:
    """Return how a run's judge agrees with the verdicts; None where there is no pair.

    To be shown when a run is over: nothing of it may come before judge or evolver.
    """
    passed = {row.episode_id: row.passed for row in ledger.rows(VerdictRow, run_key)}
    scores = {
        row.episode_id: row.score
        for row in ledger.rows(JudgeVerdictRow, run_key)
        if row.score is not None and row.episode_id in passed
    }
    if not scores:
        return None
    return calibrate(list(scores.values()), [passed[key] for key in scores])


def calibration_sentence(found: Calibration | None) -> str:
    """Return a calibration in one sentence."""
    if found is None:
        return "The judge cannot be calibrated: no attempt has both a score and a verdict."
    auc = "unknown, as all outcomes are the same" if found.auc is None else f"{found.auc:.2f}"
    return (
        f"The judge against the verdicts of {found.n} attempts ({found.n_passed} passed): "
        f"agreement {found.agreement:.0%}, Brier score {found.brier:.3f}, AUC {auc}."
    )
