"""Skills written by one model call: a task's own, a shorter one, a draft from a success.

Each reads what it needs, asks once, asks again once when the answer cannot be used, and
commits what stands. An answer that cannot be used twice is the model's mistake: nothing
changes, and the result says why.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from grindstone.base import Frozen
from grindstone.digest import canonical_json
from grindstone.evolve.checks import check_format
from grindstone.evolve.permissions import Check
from grindstone.evolve.templates import template
from grindstone.files import write_atomic
from grindstone.llm.messages import CallSite, Message, Model, Request, Text
from grindstone.observe.compression import compress
from grindstone.observe.observation import LabelledObservation, UnlabelledObservation
from grindstone.records import Role, Trajectory, Usage
from grindstone.settings import SuccessMode
from grindstone.skills.distill import apply_distillation, distillation_prompt, needs_distillation
from grindstone.skills.drafts import promotable, promote, read_drafts, support
from grindstone.skills.format import Skill, read_skill, render
from grindstone.skills.frontmatter import SkillError
from grindstone.skills.library import SKILL_FILE
from grindstone.skills.prompting import Prompt
from grindstone.skills.quality import check_quality
from grindstone.skills.success import apply_success, success_prompt
from grindstone.skills.task_skill import apply_task_skill, task_skill_prompt, write_task_skill
from grindstone.workspace.workspace import Workspace

TRIES = 2
_MAX_OUTPUT_TOKENS = 8192
_TRAJECTORY_TOKENS = 6_000


class WriterResult(Frozen):
    """What one of the writers did."""

    step: str = ""
    written: tuple[str, ...] = Field((), description="Skills, drafts or tasks whose text changed.")
    promoted: tuple[str, ...] = Field((), description="Drafts that became general skills.")
    problems: tuple[str, ...] = Field((), description="Why an answer was not used.")
    usage: Usage = Usage()
    commit: str = ""
    done_before: bool = False


class _Answered(NamedTuple):
    skill: Skill | None
    problem: str
    usage: Usage


async def evolve_task_skill(
    workspace: Workspace,
    *,
    model: Model,
    task_id: str,
    instruction: str,
    category: str,
    observation: LabelledObservation | UnlabelledObservation | None = None,
    step: str = "",
    leaks: Check | None = None,
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
    answered = await _ask(
        model,
        prompt,
        CallSite(
            role=Role.TASK_SKILL, scope=step or f"task_skill/{task_id}", turn=0, task_id=task_id
        ),
        lambda answer: apply_task_skill(task_id, answer, existing=existing),
        lambda skill: _leaking(skill, f"task_skills/{task_id}/{SKILL_FILE}", leaks),
    )

    def write(root: Path) -> WriterResult:
        skill = answered.skill
        unchanged = skill is None or (existing is not None and existing.says_the_same(skill))
        if skill is not None and not unchanged:
            write_task_skill(root, task_id, skill)
        return _result(step, answered, written=() if unchanged else (task_id,))

    return await _commit(workspace, f"Task skill of {task_id}", step, write)


async def distill_bloated(
    workspace: Workspace, *, model: Model, step: str = "", leaks: Check | None = None
) -> WriterResult:
    """Shorten every general skill of more than 200 lines or 6,000 bytes; one commit for all.

    A skill whose shorter version cannot be used stays as it is. Arguments and errors are
    those of `evolve_task_skill`.
    """
    if (done := await _done(workspace, step)) is not None:
        return done
    skills = await asyncio.to_thread(_general_skills, workspace.root)
    bloated = [skill for skill in skills if needs_distillation(skill)]
    if not bloated:
        return WriterResult(step=step)
    answers: dict[str, _Answered] = {}
    for place, skill in enumerate(bloated):
        answers[skill.name] = await _ask(
            model,
            distillation_prompt(skill),
            CallSite(role=Role.DISTILLATION, scope=step or "distill", turn=place * TRIES),
            partial(apply_distillation, skill),
            lambda shorter: _leaking(shorter, f"skills/{shorter.name}/{SKILL_FILE}", leaks),
        )

    def write(root: Path) -> WriterResult:
        written: list[str] = []
        for name, answered in answers.items():
            if answered.skill is not None:
                write_atomic(root / "skills" / name / SKILL_FILE, render(answered.skill))
                written.append(name)
        usage = Usage()
        for answered in answers.values():
            usage = usage + answered.usage
        problems = tuple(answered.problem for answered in answers.values() if answered.problem)
        return WriterResult(step=step, written=tuple(written), problems=problems, usage=usage)

    return await _commit(workspace, f"Distil {', '.join(answers)}", step, write)


async def draft_from_success(
    workspace: Workspace,
    *,
    model: Model,
    task_id: str,
    instruction: str,
    category: str,
    trajectory: Trajectory,
    mode: SuccessMode,
    promotion_threshold: int = 1,
    max_skills: int | None = None,
    step: str = "",
    leaks: Check | None = None,
) -> WriterResult:
    """Draft a skill from what an agent did right; promote drafts that have enough support.

    Args:
        workspace: Where drafts are kept.
        model: Who writes.
        task_id: The task that passed.
        instruction: Its text.
        category: Its category.
        trajectory: What the agent did.
        mode: off does nothing; draft_only keeps drafts; gated_promotion promotes them too.
        promotion_threshold: Different tasks that must support a draft.
        max_skills: No draft is promoted into a library that has as many.
        step: As in `evolve_task_skill`.
        leaks: As in `evolve_task_skill`.
    """
    if mode is SuccessMode.OFF:
        return WriterResult(step=step)
    if (done := await _done(workspace, step)) is not None:
        return done
    digest = compress(trajectory, _TRAJECTORY_TOKENS)
    skills = await asyncio.to_thread(_general_skills, workspace.root)
    prompt = success_prompt(
        instruction,
        digest,
        category=category,
        skills=skills,
        drafts=await asyncio.to_thread(read_drafts, workspace.root),
    )
    answered = await _ask(
        model,
        prompt,
        CallSite(
            role=Role.DISTILLATION, scope=step or f"success/{task_id}", turn=0, task_id=task_id
        ),
        lambda answer: apply_success(answer, category=category),
        lambda skill: _unfit(skill, leaks),
    )

    def write(root: Path) -> WriterResult:
        problems: list[str] = []
        written: list[str] = []
        if answered.skill is not None:
            change = support(root, answered.skill, task_id)
            if change.known:
                problems.append(f"the library has a skill {change.key} already")
            elif change.created or change.rewritten or change.new_supporter:
                written.append(change.key)
        promoted: list[str] = []
        if mode is SuccessMode.GATED_PROMOTION:
            count = len(skills)
            for draft in promotable(root, promotion_threshold):
                if max_skills is not None and count >= max_skills:
                    break
                promote(root, draft)
                promoted.append(draft.key)
                count += 1
        result = _result(step, answered, written=tuple(written))
        return result.model_copy(
            update={"promoted": tuple(promoted), "problems": (*result.problems, *problems)}
        )

    return await _commit(workspace, f"Learn from the success at {task_id}", step, write)


async def _ask(
    model: Model,
    prompt: Prompt,
    site: CallSite,
    read: Callable[[str], Skill | None],
    judge: Callable[[Skill], Sequence[str]],
) -> _Answered:
    """Ask for a skill; once more, with the reason, when the answer cannot be used."""
    messages = [Message(role="user", content=(Text(text=prompt.user),))]
    usage = Usage()
    problem = ""
    for attempt in range(TRIES):
        request = Request(
            system=prompt.system, messages=tuple(messages), max_tokens=_MAX_OUTPUT_TOKENS
        )
        response = await model.complete(
            request, site.model_copy(update={"turn": site.turn + attempt})
        )
        usage = usage + response.usage
        try:
            if response.stop_reason not in ("end_turn", "stop_sequence"):
                raise SkillError("answer", f"ended with {response.stop_reason}", "a whole answer")
            skill = read(response.text)
            reasons = judge(skill) if skill is not None else ()
            if not reasons:
                return _Answered(skill, "", usage)
            problem = "; ".join(reasons)
        except SkillError as error:
            problem = str(error)
        said = response.text.strip() or "(no text)"
        again = template("answer_again").format(problem=problem)
        messages += [
            Message(role="assistant", content=(Text(text=said),)),
            Message(role="user", content=(Text(text=again),)),
        ]
    return _Answered(None, problem, usage)


def _leaking(skill: Skill, path: str, leaks: Check | None) -> Sequence[str]:
    return leaks(path, render(skill)) if leaks is not None else ()


def _unfit(skill: Skill, leaks: Check | None) -> Sequence[str]:
    """Judge a draft as a skill of the library, which it may become."""
    path = f"skills/{skill.name}/{SKILL_FILE}"
    text = render(skill)
    quality = [violation.message for violation in check_quality(skill, max_chars=None)]
    return [*check_format(path, text), *quality, *(leaks(path, text) if leaks else ())]


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


def _result(step: str, answered: _Answered, *, written: tuple[str, ...]) -> WriterResult:
    problems = (answered.problem,) if answered.problem else ()
    return WriterResult(step=step, written=written, problems=problems, usage=answered.usage)


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
    workspace: Workspace, message: str, step: str, write: Callable[[Path], WriterResult]
) -> WriterResult:
    """Write and commit as the one writer; nothing stays of a write that fails."""

    def work() -> WriterResult:
        with workspace.writing() as root:
            result = write(root)
            if not result.written and not result.promoted:
                return result
            trailers = {"Result": canonical_json(result)}
            ref = workspace.commit(message, step=step, trailers=trailers)
            return result.model_copy(update={"commit": ref.commit if ref is not None else ""})

    return await asyncio.to_thread(work)
