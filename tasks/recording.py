"""Bringing what happened into the ledger."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol

from pydantic import TypeAdapter

from grindstone.attempt.run import AttemptResult
from grindstone.evolve import EvolutionResult, WriterResult
from grindstone.files import write_atomic
from grindstone.ledger import Ledger
from grindstone.ledger.tables.attempts import (
    SignalsRow,
    SkillUseRow,
    trajectory_rows,
    verdict_rows,
)
from grindstone.ledger.tables.runs import EvolutionRow, Refusal, SkillRow
from grindstone.records import utc_now
from grindstone.skills import Skill, SkillLibrary, render
from grindstone.tasks.runtime import Runtime
from grindstone.workspace import Snapshot


class Writing(Protocol):
    """What is said of a writing step."""

    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def step(self) -> str: ...  # noqa: D102
    @property
    def base(self) -> Snapshot: ...  # noqa: D102
    @property
    def task_id(self) -> str: ...  # noqa: D102
    @property
    def batch(self) -> int: ...  # noqa: D102
    @property
    def cycle(self) -> int: ...  # noqa: D102


_ATTEMPTED = TypeAdapter(AttemptResult)


async def record_attempt(
    runtime: Runtime, episode_id: str, make: Callable[[], Awaitable[AttemptResult]]
) -> AttemptResult:
    """Make an attempt and append its rows; the episode last, so that it has all its rows.

    What the attempt left is on disk as one file before the first row: a run that is killed
    between two tables goes on with that, and never mixes rows of two attempts.
    """
    path = runtime.run_dir / "attempts" / f"{episode_id}.json"
    if path.is_file():
        attempted = _ATTEMPTED.validate_json(await asyncio.to_thread(path.read_bytes))
    else:
        text = runtime.models.mask(_ATTEMPTED.dump_json(await make()).decode())
        attempted = _ATTEMPTED.validate_json(text)
        await asyncio.to_thread(write_atomic, path, text)
    await asyncio.to_thread(_record, runtime.ledger, attempted)
    path.unlink()
    return attempted


def _record(ledger: Ledger, attempted: AttemptResult) -> None:
    episode = attempted.episode
    whole, steps = trajectory_rows(episode.episode_id, attempted.trajectory)
    verdict, tests = verdict_rows(episode.episode_id, attempted.verdict)
    uses = {use.skill: use for use in attempted.uses}
    skills = [
        SkillUseRow(
            episode_id=episode.episode_id,
            skill=item.skill.name,
            skill_digest=item.skill.digest,
            scope="task" if item.own else "general",
            selection_method=item.method,
            selection_score=item.score,
            selection_reason=item.reason,
            offered=True,
            loaded=uses[item.skill.name].loaded,
            followed=uses[item.skill.name].followed,
            matched_commands=uses[item.skill.name].matched_commands,
            taught_commands=uses[item.skill.name].taught_commands,
        )
        for item in attempted.offered
    ]
    signals = SignalsRow(
        episode_id=episode.episode_id,
        task_id=episode.task_id,
        cycle=episode.cycle,
        **attempted.signals.model_dump(exclude={"repeated_commands"}),
        repeated_commands=tuple(item.command for item in attempted.signals.repeated_commands),
    )
    for rows in ([whole], steps, [verdict], tests, skills, [signals], [episode]):
        ledger.append(rows, run_key=episode.run_key)


async def record_evolution(
    runtime: Runtime,
    result: EvolutionResult,
    *,
    before: Snapshot,
    after: Snapshot,
    batch: int,
    cycle: int,
    task_ids: tuple[str, ...],
    cost_usd: float | None,
    started: datetime,
) -> None:
    """Append an evolution and the skills it left."""
    now = utc_now()
    row = EvolutionRow(
        run_key=runtime.run_key,
        evo_number=result.evo_number,
        step="evolve",
        batch=batch,
        cycle=cycle,
        agent_id=runtime.agent_id,
        task_ids=task_ids,
        commit_before=before.commit,
        commit_after=result.commit,
        tree_before=before.tree,
        tree_after=after.tree,
        skills_added=result.skills_added,
        skills_changed=result.skills_changed,
        skills_removed=result.skills_removed,
        refusals=_refusals(result),
        usage=result.usage,
        cost_usd=cost_usd,
        duration_s=max(0.0, (now - started).total_seconds()),
        at=now,
    )
    touched = {*result.skills_added, *result.skills_changed}
    library = SkillLibrary(await runtime.snapshot(after.commit))
    skills = [
        _skill_row(runtime, skill, evo_number=result.evo_number, cycle=cycle, learned_from=task_ids)
        for skill in library.skills()
        if skill.name in touched
    ]
    for rows in ([row], skills):
        await asyncio.to_thread(runtime.ledger.append, rows, run_key=runtime.run_key)


async def record_writing(
    runtime: Runtime, spec: Writing, result: WriterResult, *, after: Snapshot, started: datetime
) -> None:
    """Append what one writing step changed."""
    now = utc_now()
    taught = sorted({task for tasks in result.supporters.values() for task in tasks})
    row = EvolutionRow(
        run_key=runtime.run_key,
        evo_number=result.evo_number,
        step=spec.step,
        batch=spec.batch,
        cycle=spec.cycle,
        agent_id=runtime.agent_id,
        task_ids=(spec.task_id,) if spec.task_id else tuple(taught),
        commit_before=spec.base.commit,
        commit_after=after.commit,
        tree_before=spec.base.tree,
        tree_after=after.tree,
        skills_added=result.promoted,
        skills_changed=result.written if spec.kind == "distill" else (),
        refusals=_refusals(result),
        usage=result.usage,
        cost_usd=runtime.cost_of(f"{runtime.run_key}/{spec.step}"),
        duration_s=max(0.0, (now - started).total_seconds()),
        at=now,
    )
    library = SkillLibrary(await runtime.snapshot(after.commit))
    skills = [
        _skill_row(
            runtime,
            skill,
            evo_number=result.evo_number,
            cycle=spec.cycle,
            learned_from=result.supporters.get(skill.name, row.task_ids),
        )
        for skill in library.skills()
        if skill.name in {*row.skills_added, *row.skills_changed}
    ]
    own = library.task_skill(spec.task_id) if spec.kind == "task_skill" and result.written else None
    if own is not None:
        more = {"scope": "task", "task_id": spec.task_id}
        skills.append(
            _skill_row(runtime, own, cycle=spec.cycle, learned_from=row.task_ids).model_copy(
                update=more
            )
        )
    for rows in ([row], skills):
        await asyncio.to_thread(runtime.ledger.append, rows, run_key=runtime.run_key)


def _refusals(result: EvolutionResult | WriterResult) -> tuple[Refusal, ...]:
    return tuple(
        Refusal(path=item.path, rule=item.rule, reason=item.reason) for item in result.refusals
    )


def _skill_row(
    runtime: Runtime,
    skill: Skill,
    *,
    cycle: int,
    learned_from: tuple[str, ...],
    evo_number: int = 0,
) -> SkillRow:
    return SkillRow(
        run_key=runtime.run_key,
        agent_id=runtime.agent_id,
        skill=skill.name,
        skill_digest=skill.digest,
        version=str(skill.version or ""),
        category=skill.category or "",
        description=skill.description,
        n_chars=len(render(skill)),
        evo_number=evo_number,
        cycle=cycle,
        learned_from=learned_from,
    )
