"""Judging attempts from behaviour as cached steps, and what their failures share."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from prefect import task

from grindstone.agents.agent_file import AgentFile
from grindstone.agents.program_model import ProgramModel
from grindstone.benchmark import load_task
from grindstone.boundary import step_boundary
from grindstone.digest import digest
from grindstone.errors import InfrastructureError, InternalError
from grindstone.evolve.behaviour import JudgedAttempt, observe_behaviour, recall_behaviour
from grindstone.evolve.session import environment
from grindstone.ledger.tables.attempts import JudgeVerdictRow
from grindstone.ledger.tables.runs import PatternRow
from grindstone.llm.messages import CallSite, Model
from grindstone.observe.judge import judge
from grindstone.observe.observation import JudgeVerdict
from grindstone.observe.patterns import JudgedTask, Pattern, find_patterns
from grindstone.records import Role
from grindstone.runs.progress import Note
from grindstone.runs.slots import Slots
from grindstone.tasks.publish import publish_judged
from grindstone.tasks.runtime import Runtime, current_runtime
from grindstone.tasks.step import StepSpec, kept, key_of


class JudgeSpec(StepSpec):
    """One attempt to judge."""

    episode_id: str
    task_id: str
    task_dir: Path
    agent: AgentFile | None = None  # a program of others judges, by the model

    @property
    def cache_key(self) -> str:
        """What a step's stored result is found by."""
        return digest({"run": self.run_key, "episode": self.episode_id, "judge": self.judge})

    @property
    def judge(self) -> str:
        """Who judges, as its row names it."""
        return self.model_id if self.agent is None else f"{self.agent.label} ({self.model_id})"


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
    runtime = current_runtime()
    judged = JudgedAttempt(episode_id=spec.episode_id, task_id=spec.task_id)
    try:
        verdict = await _verdict(spec, runtime)
    except InfrastructureError as error:
        judged = judged.model_copy(update={"error": str(error)[:500] or error.cause.value})
    else:
        judged = judged.model_copy(update={"verdict": verdict})
        runtime.tell(Note(f"Judged {spec.task_id}: {_in_words(verdict)}"))
    said = judged.verdict.model_dump() if judged.verdict is not None else {}
    row = JudgeVerdictRow(
        episode_id=spec.episode_id,
        task_id=spec.task_id,
        cycle=spec.cycle,
        model=spec.judge,
        error=judged.error,
        **said,
    )
    await runtime.append([row])
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
    model: Model = runtime.models.get(spec.model_id, spec.region)
    if spec.agent is not None:
        image = await environment(runtime.provider, spec.agent)
        model = ProgramModel(spec.agent, model, runtime.provider, image=image, labels=spec.labels)
    return await judge(model, observe_behaviour(seen[0], about), site)


def _in_words(verdict: JudgeVerdict) -> str:
    why = f", {verdict.failure_reason}" if verdict.failure_reason else ""
    return f"{verdict.score} of 10{why}"


async def judge_attempts(specs: Sequence[JudgeSpec], slots: Slots) -> list[JudgedAttempt]:
    """Judge attempts side by side; one the judge could not use has no verdict and no score.

    Raises:
        BudgetExceededError: A ceiling was reached.
    """

    async def one(spec: JudgeSpec) -> JudgedAttempt:
        try:
            with step_boundary(f"judgement of {spec.task_id} · cycle {spec.cycle}"):
                async with slots:
                    return await kept(_judge, spec.home, spec.run_key)(spec)
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
    await runtime.append(rows)
    await publish_judged(runtime.agent_id, judged, patterns, cycle=cycle)
    return patterns
