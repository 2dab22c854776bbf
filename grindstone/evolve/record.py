"""What an evolution and a written skill leave in the ledger."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from grindstone.evolve.result import EvolutionResult, WriterResult
from grindstone.ledger.tables.runs import EvolutionRow, Refusal, SkillRow
from grindstone.records import utc_now
from grindstone.skills import Skill, SkillLibrary, render
from grindstone.workspace import Snapshot

Rows = tuple[list[EvolutionRow], list[SkillRow]]


class LearningStep(NamedTuple):
    """A step of a run that learned: the workspace it found and left, and what that took."""

    run_key: str
    agent_id: str
    batch: int
    cycle: int
    before: Snapshot
    after: Snapshot
    files: Path  # the workspace as it left it
    cost_usd: float | None  # of its calls; None: a price is unknown
    started: datetime

    def row(
        self,
        name: str,
        result: EvolutionResult | WriterResult,
        *,
        task_ids: tuple[str, ...],
        added: tuple[str, ...],
        changed: tuple[str, ...],
        removed: tuple[str, ...] = (),
        others: tuple[str, ...] = (),
    ) -> EvolutionRow:
        """Return the step's row, with the general skills it added, changed and removed."""
        now = utc_now()
        return EvolutionRow(
            run_key=self.run_key,
            evo_number=result.evo_number,
            step=name,
            batch=self.batch,
            cycle=self.cycle,
            agent_id=self.agent_id,
            task_ids=task_ids,
            commit_before=self.before.commit,
            commit_after=result.commit or self.after.commit,
            tree_before=self.before.tree,
            tree_after=self.after.tree,
            skills_added=added,
            skills_changed=changed,
            skills_removed=removed,
            others_changed=others,
            refusals=tuple(
                Refusal(path=item.path, rule=item.rule, reason=item.reason)
                for item in result.refusals
            ),
            usage=result.usage,
            cost_usd=self.cost_usd,
            duration_s=max(0.0, (now - self.started).total_seconds()),
            at=now,
        )

    def skill_row(
        self, skill: Skill, learned_from: tuple[str, ...], evo_number: int = 0
    ) -> SkillRow:
        """Return the row of a skill that the step wrote; without a number it is no evolution's."""
        return SkillRow(
            run_key=self.run_key,
            agent_id=self.agent_id,
            skill=skill.name,
            skill_digest=skill.digest,
            version=str(skill.version or ""),
            category=skill.category or "",
            description=skill.description,
            n_chars=len(render(skill)),
            evo_number=evo_number,
            cycle=self.cycle,
            learned_from=learned_from,
        )

    def skills(self, names: Iterable[str]) -> list[Skill]:
        """Return those of the library it left that have one of these names."""
        wanted = set(names)
        return [skill for skill in SkillLibrary(self.files).skills() if skill.name in wanted]


def evolution_rows(made: LearningStep, result: EvolutionResult, task_ids: tuple[str, ...]) -> Rows:
    """Return an evolution and the skills it left.

    Args:
        made: The step that evolved.
        result: What the evolver achieved.
        task_ids: Tasks that taught it.
    """
    row = made.row(
        "evolve",
        result,
        task_ids=task_ids,
        added=result.skills_added,
        changed=result.skills_changed,
        removed=result.skills_removed,
        others=result.others_changed,
    )
    touched = made.skills((*result.skills_added, *result.skills_changed))
    return [row], [made.skill_row(skill, task_ids, result.evo_number) for skill in touched]


def writing_rows(
    made: LearningStep, result: WriterResult, *, kind: str, name: str, task_id: str
) -> Rows:
    """Return what one writing step changed.

    Args:
        made: The step that wrote.
        result: What the writer achieved.
        kind: What was written: task_skill, success, promote, distill.
        name: The step's within the run.
        task_id: The task it was about; empty for all.
    """
    taught = sorted({task for tasks in result.supporters.values() for task in tasks})
    row = made.row(
        name,
        result,
        task_ids=(task_id,) if task_id else tuple(taught),
        added=result.promoted,
        changed=result.written if kind == "distill" else (),
    )
    skills = [
        made.skill_row(skill, result.supporters.get(skill.name, row.task_ids), result.evo_number)
        for skill in made.skills((*row.skills_added, *row.skills_changed))
    ]
    if kind == "task_skill" and result.written:
        own = SkillLibrary(made.files).task_skill(task_id)
        if own is not None:
            of_task = made.skill_row(own, row.task_ids)
            skills.append(of_task.model_copy(update={"scope": "task", "task_id": task_id}))
    return [row], skills
