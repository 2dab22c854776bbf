"""Skills written outside the evolver's session: a task's own, a shorter one, a draft, a promotion.

Each reads what it needs, asks a model once, asks again once when the answer cannot be used,
and commits what stands. An answer that cannot be used twice is the model's mistake: nothing
changes, and the result says why. What changes the general library is an evolution: it has a
number and its tags, and a change that a gate rejected before is not made again. A task's own
skill and a draft are offered to no other task and are plain commits.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from grindstone.digest import canonical_json
from grindstone.evolve.asked_skill import TRIES, AskedSkill, ask_skill, leaking, unfit
from grindstone.evolve.gate_conditions import GateConditions
from grindstone.evolve.guard import Guard
from grindstone.evolve.permissions import RefusedChange
from grindstone.evolve.rejected import rejected_before
from grindstone.evolve.result import WriterResult
from grindstone.files import write_atomic
from grindstone.llm.messages import CallSite, Model
from grindstone.observe.compression import compress
from grindstone.observe.observation import LabelledObservation, UnlabelledObservation
from grindstone.records import Role, Trajectory, Usage
from grindstone.skills.distill import apply_distillation, distillation_prompt, needs_distillation
from grindstone.skills.drafts import (
    drafts_dir,
    promotable,
    promote,
    promoted_text,
    read_drafts,
    support,
)
from grindstone.skills.format import Skill, read_skill, render
from grindstone.skills.frontmatter import SkillError
from grindstone.skills.library import SKILL_FILE
from grindstone.skills.success import apply_success, success_prompt
from grindstone.skills.task_skill import apply_task_skill, task_skill_prompt, write_task_skill
from grindstone.workspace.workspace import Workspace

_TRAJECTORY_TOKENS = 6_000


async def evolve_task_skill(
    workspace: Workspace,
    *,
    model: Model,
    task_id: str,
    instruction: str,
    category: str,
    observation: LabelledObservation | UnlabelledObservation | None = None,
    step: str = "",
    leaks: Guard | None = None,
) -> WriterResult:
    """Write a task's own skill, or improve it after a failure.

    Args:
        workspace: Where it is kept, below task_skills/.
        model: Who writes it.
        task_id: The task.
        instruction: Its text.
        category: Its category.
        observation: The failed attempt; without one the skill is written from the text alone.
        step: `<run_key>/<step>`; a step found in the history is returned as it was.
        leaks: Refuses text that gives a check away.

    Raises:
        InfrastructureError: The model failed.
        BudgetExceededError: A ceiling was reached.
    """
    if (done := await _done(workspace, step)) is not None:
        return done
    existing = await asyncio.to_thread(_task_skill, workspace, task_id)
    prompt = task_skill_prompt(
        task_id,
        instruction,
        category=category,
        existing=existing,
        observation=observation.to_markdown() if observation is not None else "",
    )
    answered = await ask_skill(
        model,
        prompt,
        CallSite(
            role=Role.TASK_SKILL, scope=step or f"task_skill/{task_id}", turn=0, task_id=task_id
        ),
        f"task_skills/{task_id}/{SKILL_FILE}",
        lambda answer: apply_task_skill(task_id, answer, existing=existing),
        lambda skill, path: leaking(skill, path, leaks),
    )

    def write(root: Path) -> WriterResult:
        skill = answered.skill
        unchanged = skill is None or (existing is not None and existing.says_the_same(skill))
        if skill is not None and not unchanged:
            write_task_skill(root, task_id, skill)
        return _result(step, answered, written=() if unchanged else (task_id,))

    return await _commit(workspace, f"Task skill of {task_id}", step, write)


async def distill_bloated(
    workspace: Workspace,
    *,
    model: Model,
    step: str = "",
    leaks: Guard | None = None,
    conditions: GateConditions | None = None,
) -> WriterResult:
    """Shorten every general skill of more than 200 lines or 6,000 bytes; one commit for all.

    A skill whose shorter version cannot be used stays as it is. Arguments and errors are
    those of `evolve_task_skill`, and the last one of `promote_drafts`.
    """
    if (done := await _done(workspace, step)) is not None:
        return done
    skills = await asyncio.to_thread(_general_skills, workspace.root)
    bloated = [skill for skill in skills if needs_distillation(skill)]
    if not bloated:
        return WriterResult(step=step)
    answers: dict[str, AskedSkill] = {}
    for place, skill in enumerate(bloated):
        answers[skill.name] = await ask_skill(
            model,
            distillation_prompt(skill),
            CallSite(role=Role.DISTILLATION, scope=step or "distill", turn=place * TRIES),
            f"skills/{skill.name}/{SKILL_FILE}",
            partial(apply_distillation, skill),
            lambda shorter, path: leaking(shorter, path, leaks),
        )

    def write(root: Path) -> WriterResult:
        texts = {
            f"skills/{name}/{SKILL_FILE}": render(answered.skill)
            for name, answered in answers.items()
            if answered.skill is not None
        }
        refusals = [each for answered in answers.values() for each in answered.refusals]
        again = rejected_before(workspace, texts, conditions)
        for path, text in texts.items() if not again else ():
            write_atomic(root / path, text)
        usage = sum((answered.usage for answered in answers.values()), start=Usage())
        written = [name for name, answered in answers.items() if answered.skill and not again]
        return WriterResult(
            step=step, written=tuple(written), refusals=(*refusals, *again), usage=usage
        )

    return await _commit(workspace, f"distil {', '.join(answers)}", step, write, evolution=True)


async def draft_from_success(
    workspace: Workspace,
    *,
    model: Model,
    task_id: str,
    instruction: str,
    category: str,
    trajectory: Trajectory,
    twins: Sequence[str] = (),
    step: str = "",
    leaks: Guard | None = None,
) -> WriterResult:
    """Draft a skill from what an agent did right, or add the task to a draft's supporters.

    Args:
        workspace: Where drafts are kept.
        model: Who writes.
        task_id: The task that passed.
        instruction: Its text.
        category: Its category.
        trajectory: What the agent did.
        twins: Digests that the task in other words has too.
        step: As in `evolve_task_skill`.
        leaks: As in `evolve_task_skill`.
    """
    if (done := await _done(workspace, step)) is not None:
        return done
    digest = compress(trajectory, _TRAJECTORY_TOKENS)
    prompt = success_prompt(
        instruction,
        digest,
        category=category,
        skills=await asyncio.to_thread(_general_skills, workspace.root),
        drafts=await asyncio.to_thread(read_drafts, workspace.root),
    )
    answered = await ask_skill(
        model,
        prompt,
        CallSite(
            role=Role.DISTILLATION, scope=step or f"success/{task_id}", turn=0, task_id=task_id
        ),
        drafts_dir(Path()).as_posix(),
        lambda answer: apply_success(answer, category=category),
        lambda skill, _: unfit(skill, leaks),
    )

    if (skill := answered.skill) is None:
        return _result(step, answered, written=())

    def write(root: Path) -> WriterResult:
        change = support(root, skill, task_id, instruction, twins)
        result = _result(step, answered, written=(change.key,) if change.kept else ())
        if not change.known:
            return result
        reason = f"the library has a skill {change.key} already"
        known = RefusedChange(
            path=f"skills/{change.key}/{SKILL_FILE}", rule="known_skill", reason=reason
        )
        return result.model_copy(update={"refusals": (*result.refusals, known)})

    return await _commit(workspace, f"Learn from the success at {task_id}", step, write)


async def promote_drafts(
    workspace: Workspace,
    *,
    threshold: int = 1,
    max_skills: int | None = None,
    step: str = "",
    conditions: GateConditions | None = None,
) -> WriterResult:
    """Make general skills of the drafts that have enough support; one evolution for all.

    Args:
        workspace: Whose drafts.
        threshold: Different tasks that must support a draft.
        max_skills: No draft is promoted into a library that has as many.
        step: As in `evolve_task_skill`.
        conditions: What the change will be weighed on: one rejected on the same is not made.
    """
    if (done := await _done(workspace, step)) is not None:
        return done

    def write(root: Path) -> WriterResult:
        room = None if max_skills is None else max(0, max_skills - len(_general_skills(root)))
        chosen = promotable(root, threshold)[:room]
        texts = {f"skills/{each.key}/{SKILL_FILE}": promoted_text(each) for each in chosen}
        again = rejected_before(workspace, texts, conditions)
        for draft in chosen if not again else ():
            promote(root, draft)
        promoted = {draft.key: draft.supporters for draft in chosen if not again}
        return WriterResult(
            step=step, promoted=tuple(promoted), supporters=promoted, refusals=again
        )

    return await _commit(workspace, "promote", step, write, evolution=True)


def _task_skill(workspace: Workspace, task_id: str) -> Skill | None:
    path = workspace.library.task_folder(task_id) / SKILL_FILE
    return read_skill(path, f"task_skills/{task_id}/{SKILL_FILE}") if path.is_file() else None


def _general_skills(root: Path) -> tuple[Skill, ...]:
    found: list[Skill] = []
    for path in sorted((root / "skills").glob(f"*/{SKILL_FILE}")):
        if path.parent.name.startswith("_") or path.is_symlink():
            continue
        try:
            found.append(read_skill(path))
        except SkillError:
            continue  # the library reports broken ones; they can be neither cut nor offered
    return tuple(found)


def _result(step: str, answered: AskedSkill, *, written: tuple[str, ...]) -> WriterResult:
    return WriterResult(
        step=step, written=written, refusals=answered.refusals, usage=answered.usage
    )


async def _done(workspace: Workspace, step: str) -> WriterResult | None:
    if not step:
        return None
    ref = await asyncio.to_thread(workspace.find_step, step)
    if ref is None:
        return None
    commit = await asyncio.to_thread(lambda: workspace.repository.log("-1", ref.commit)[0])
    result = WriterResult.model_validate_json(commit.trailers["result"])
    return result.model_copy(update={"commit": ref.commit, "done_before": True})


async def _commit(
    workspace: Workspace,
    message: str,
    step: str,
    write: Callable[[Path], WriterResult],
    *,
    evolution: bool = False,
) -> WriterResult:
    """Write and commit as the one writer; nothing stays of a write that fails."""

    def work() -> WriterResult:
        with workspace.writing() as root:
            result = write(root)
            if not result.written and not result.promoted:
                return result
            number = workspace.next_number() if evolution else 0
            result = result.model_copy(update={"evo_number": number})
            trailers = {"Result": canonical_json(result)}
            if evolution:
                names = ", ".join(result.promoted)
                title = f"Evolution {number}: {message} {names}".rstrip()
                made = workspace.commit_evolution(number, title, step=step, trailers=trailers)
                return result.model_copy(update={"commit": made.commit})
            ref = workspace.commit(message, step=step, trailers=trailers)
            return result.model_copy(update={"commit": ref.commit if ref is not None else ""})

    return await asyncio.to_thread(work)
