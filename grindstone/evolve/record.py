"""What an evolution and a written skill leave in the ledger."""

from datetime import datetime
from pathlib import Path

from grindstone.evolve.result import EvolutionResult
from grindstone.evolve.writers import WriterResult
from grindstone.ledger.tables.runs import EvolutionRow, Refusal, SkillRow
from grindstone.records import utc_now
from grindstone.skills import Skill, SkillLibrary, render
from grindstone.workspace import Snapshot

Rows = tuple[list[EvolutionRow], list[SkillRow]]


def evolution_rows(
    result: EvolutionResult,
    files: Path,
    *,
    run_key: str,
    agent_id: str,
    before: Snapshot,
    after: Snapshot,
    batch: int,
    cycle: int,
    task_ids: tuple[str, ...],
    cost_usd: float | None,
    started: datetime,
) -> Rows:
    """Return an evolution and the skills it left.

    Args:
        result: What the evolver achieved.
        files: The workspace as it left it.
        run_key: The run.
        agent_id: Whose workspace it is.
        before: The workspace before.
        after: The workspace after.
        batch: Of the run.
        cycle: Of the run.
        task_ids: Tasks that taught it.
        cost_usd: What its calls cost; None: a price is unknown.
        started: When it began.
    """
    now = utc_now()
    row = EvolutionRow(
        run_key=run_key,
        evo_number=result.evo_number,
        step="evolve",
        batch=batch,
        cycle=cycle,
        agent_id=agent_id,
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
    skills = [
        _skill_row(
            skill,
            run_key=run_key,
            agent_id=agent_id,
            evo_number=result.evo_number,
            cycle=cycle,
            learned_from=task_ids,
        )
        for skill in SkillLibrary(files).skills()
        if skill.name in touched
    ]
    return [row], skills


def writing_rows(
    result: WriterResult,
    files: Path,
    *,
    run_key: str,
    agent_id: str,
    kind: str,
    step: str,
    task_id: str,
    before: Snapshot,
    after: Snapshot,
    batch: int,
    cycle: int,
    cost_usd: float | None,
    started: datetime,
) -> Rows:
    """Return what one writing step changed.

    Args:
        result: What the writer achieved.
        files: The workspace as it left it.
        run_key: The run.
        agent_id: Whose workspace it is.
        kind: What was written: task_skill, success, promote, distill.
        step: The step's name within the run.
        task_id: The task it was about; empty for all.
        before: The workspace before.
        after: The workspace after.
        batch: Of the run.
        cycle: Of the run.
        cost_usd: What its calls cost; None: a price is unknown.
        started: When it began.
    """
    now = utc_now()
    taught = sorted({task for tasks in result.supporters.values() for task in tasks})
    row = EvolutionRow(
        run_key=run_key,
        evo_number=result.evo_number,
        step=step,
        batch=batch,
        cycle=cycle,
        agent_id=agent_id,
        task_ids=(task_id,) if task_id else tuple(taught),
        commit_before=before.commit,
        commit_after=after.commit,
        tree_before=before.tree,
        tree_after=after.tree,
        skills_added=result.promoted,
        skills_changed=result.written if kind == "distill" else (),
        refusals=_refusals(result),
        usage=result.usage,
        cost_usd=cost_usd,
        duration_s=max(0.0, (now - started).total_seconds()),
        at=now,
    )
    library = SkillLibrary(files)
    skills = [
        _skill_row(
            skill,
            run_key=run_key,
            agent_id=agent_id,
            evo_number=result.evo_number,
            cycle=cycle,
            learned_from=result.supporters.get(skill.name, row.task_ids),
        )
        for skill in library.skills()
        if skill.name in {*row.skills_added, *row.skills_changed}
    ]
    own = library.task_skill(task_id) if kind == "task_skill" and result.written else None
    if own is not None:
        of_task = _skill_row(
            own, run_key=run_key, agent_id=agent_id, cycle=cycle, learned_from=row.task_ids
        )
        skills.append(of_task.model_copy(update={"scope": "task", "task_id": task_id}))
    return [row], skills


def _refusals(result: EvolutionResult | WriterResult) -> tuple[Refusal, ...]:
    return tuple(
        Refusal(path=item.path, rule=item.rule, reason=item.reason) for item in result.refusals
    )


def _skill_row(
    skill: Skill,
    *,
    run_key: str,
    agent_id: str,
    cycle: int,
    learned_from: tuple[str, ...],
    evo_number: int = 0,
) -> SkillRow:
    return SkillRow(
        run_key=run_key,
        agent_id=agent_id,
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
