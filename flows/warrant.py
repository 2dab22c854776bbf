"""Warrants: what each skill does for the present model, earned by attempts with and without it."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, NamedTuple

from prefect import flow

from grindstone.attempt.gate_memory import ScoredAttempt
from grindstone.benchmark import Task
from grindstone.benchmark.dataset import clusters_of
from grindstone.blocks import BlockNames
from grindstone.evolve.warrants import (
    POLICIES,
    SkillInDoubt,
    SkillUseCount,
    latest_warrants,
    retire,
    tasks_digest,
    to_retire,
    uses_of,
    why_lapsed,
)
from grindstone.files import write_atomic
from grindstone.flows.run import Run, open_run, within_budget
from grindstone.gate import Pair, PairedComparison, compare_paired
from grindstone.gate.discovery import lift_states
from grindstone.gate.paired import score_beside
from grindstone.ledger.tables.library import WarrantRow
from grindstone.records import Arm, Episode, Purpose, utc_now
from grindstone.report.warrants import warrants_markdown
from grindstone.settings import WarrantSettings
from grindstone.settings.forms import WARRANT
from grindstone.skills import Skill, SkillLibrary, select_skills
from grindstone.tasks.artifacts import artifact_key, publish_markdown
from grindstone.tasks.flow_runs import named
from grindstone.tasks.lifecycle import Finished
from grindstone.tasks.refusal import told_plainly
from grindstone.text import count

AuditRun = Run[WarrantSettings]


class Warranted(Finished):
    """What an audit of a library leaves."""

    warrants: tuple[WarrantRow, ...]  # that hold now, of skills still in the library
    retired: tuple[str, ...] = ()
    in_doubt: tuple[str, ...] = ()  # the budget did not reach


class Ablation(NamedTuple):
    """What was seen of one skill."""

    doubt: SkillInDoubt
    seen: PairedComparison | None  # None: never loaded, so nothing to leave out
    enough: bool  # tasks that gave a chance to load it, or pairs; else it stays in doubt
    attempts: int
    cost_usd: float | None


@flow(name="warrant", flow_run_name=named("warrant"), cache_result_in_memory=False)
@told_plainly
async def warrant(
    settings: Annotated[WarrantSettings, WARRANT] = WarrantSettings(),  # noqa: B008 - frozen
    blocks: BlockNames = BlockNames(),
) -> Warranted:
    """Earn the warrants that lapsed, the cheapest doubt first; retire what does not help.

    A skill whose warrant holds for this model, its text and its tasks costs nothing.
    """
    async with open_run("warrant", settings, blocks) as run:
        audit = _Audit(run)
        note = await within_budget(audit.earn())
        retired = () if note else await audit.retire()
        page = audit.page(retired)
        run.note(page.partition("\n")[0].removeprefix("# "))
        await publish_markdown(
            artifact_key("warrants", run.runtime.agent_id), page, description="Skills' warrants"
        )
        await asyncio.to_thread(write_atomic, run.runtime.folder.root / "warrants.md", page)
        done = await run.finish(note=note)
        kept = tuple(row for row in audit.standing.values() if row.skill not in retired)
        left = tuple(doubt.skill for doubt in audit.doubts if doubt.skill not in audit.standing)
        return Warranted(
            report=done.report, folder=done.folder, warrants=kept, retired=retired, in_doubt=left
        )


class _Audit:
    """One audit: who is in doubt, what was seen, what holds."""

    def __init__(self, run: AuditRun) -> None:
        self.run = run
        self.base = run.base
        self.doubts: list[SkillInDoubt] = []
        self.standing: dict[str, WarrantRow] = {}
        self._made: dict[str, Episode] = {}
        self._short: dict[str, str] = {}  # what was not offered often enough, in words
        self._skills: tuple[Skill, ...] = ()
        self._clusters = clusters_of(run.planned.tasks)

    async def earn(self) -> None:
        """Make the attempts that doubts need, as far as the budget goes, and decide on all."""
        await asyncio.to_thread(self._look)
        left, settings = self.run.settings.max_attempts, self.run.settings
        if self.doubts:
            names = ", ".join(f"{each.skill} ({each.why})" for each in self.doubts)
            self.run.note(
                f"In doubt: {names}; at most {count(left, 'attempt')}, the cheapest doubt first"
            )
        found: list[Ablation] = []
        for doubt in self.doubts:
            if (known := await asyncio.to_thread(self._unread, doubt)) is not None:
                found += [known] if known.enough else []
                continue
            cost = len(self._missing(doubt)) + settings.trials * len(doubt.task_ids)
            if cost > left:
                break  # the next ones cost as much or more
            seen = await self._ablate(doubt)
            left -= seen.attempts
            if seen.enough:
                found.append(seen)
        await asyncio.to_thread(self._decide, found)

    async def retire(self) -> tuple[str, ...]:
        """Take out of the library what the policy does not keep."""
        run = self.run
        rows = to_retire(
            list(self.standing.values()),
            POLICIES[run.settings.retire],
            library_digest=self.base.skills_digest,
        )
        return await asyncio.to_thread(retire, run.workspace, run.ledger, rows, run_key=run.key)

    def page(self, retired: Sequence[str]) -> str:
        """Return what holds, what was retired and what is still in doubt."""
        doubts = [each for each in self.doubts if each.skill not in self.standing]
        return warrants_markdown(
            list(self.standing.values()),
            retired=retired,
            doubts=[(each.skill, self._short.get(each.skill, each.why)) for each in doubts],
            rehearsal=self.run.solver.rehearsal,
        )

    def _look(self) -> None:
        """Find which warrants hold, and the doubts, the cheapest first."""
        run, settings = self.run, self.run.settings
        frozen = run.workspace.frozen(self.base.commit)
        library = SkillLibrary(frozen)
        self._skills = skills = library.skills()
        offered: dict[str, list[Task]] = {skill.name: [] for skill in skills}
        for task in run.planned.tasks:
            for item in select_skills(
                skills,
                task.instruction,
                category=task.category,
                limit=settings.skill_select_limit,
                method=settings.selection.value,
            ):
                offered[item.name].append(task)
        newest = latest_warrants(run.ledger, run.runtime.agent_id)
        for name, tasks in offered.items():
            skill, about = library.digest(name), tasks_digest([task.digest for task in tasks])
            row = newest.get(name)
            mine = row is not None and row.run_key == run.key
            why = why_lapsed(
                row, skill_digest=skill, model=run.solver.model_id, tasks=about
            ) or _other_library(row, self.base.skills_digest)
            if row is not None and (mine or not why):
                self.standing[name] = row
            elif tasks:
                ids = tuple(task.task_id for task in tasks)
                self.doubts.append(SkillInDoubt(name, skill, ids, about, why))
        self.doubts.sort(key=lambda each: (len(each.task_ids), each.skill))

    def _missing(self, doubt: SkillInDoubt) -> list[tuple[str, int]]:
        """Return the tasks and trials of a doubt that were not attempted with all skills yet."""
        places = [(t, n) for n in range(self.run.settings.trials) for t in doubt.task_ids]
        return [place for place in places if _place(*place) not in self._made]

    async def _ablate(self, doubt: SkillInDoubt) -> Ablation:
        """Attempt a doubt's tasks with the whole library; without the skill, where it is read."""
        settings = self.run.settings
        missing = self._missing(doubt)
        made = await self._attempt(missing, Arm.WITH, "")
        self._made |= {_place(*at): each for at, each in zip(missing, made, strict=True)}
        use = (await asyncio.to_thread(self._uses)).get(doubt.skill, SkillUseCount())
        if use.offered and not use.loaded:
            return Ablation(doubt, None, self._often_enough(doubt, use), len(made), _cost(made))
        places = [(t, n) for n in range(settings.trials) for t in doubt.task_ids]
        without = await self._attempt(places, Arm.WITHOUT, doubt.skill)
        pairs = [
            Pair(
                task_id=task_id,
                cluster=self._clusters[task_id],
                trial=trial,
                baseline=_score(lacking, beside=self._made[_place(task_id, trial)]),
                candidate=_score(self._made[_place(task_id, trial)], beside=lacking),
            )
            for (task_id, trial), lacking in zip(places, without, strict=True)
        ]
        all_made = [*made, *without]
        seen = await asyncio.to_thread(compare_paired, pairs)
        return Ablation(doubt, seen, seen.n_pairs > 0, len(all_made), _cost(all_made))

    def _unread(self, doubt: SkillInDoubt) -> Ablation | None:
        """Return what is known of a skill never read, where attempts would add no chance.

        Either enough tasks offered it, or all that are here did: again would be no new chance.
        """
        use = self._uses().get(doubt.skill, SkillUseCount())
        if not use.offered or use.loaded:
            return None
        enough = self._often_enough(doubt, use)
        fresh = {self._clusters[task_id] for task_id in doubt.task_ids} - use.clusters
        return None if fresh and not enough else Ablation(doubt, None, enough, 0, 0.0)

    def _often_enough(self, doubt: SkillInDoubt, use: SkillUseCount) -> bool:
        """Whether a skill was offered in enough tasks to be called never loaded."""
        had, needed = len(use.clusters), self.run.settings.never_loaded_after
        if had < needed:
            self._short[doubt.skill] = f"never read in {had} of {needed} tasks"
        return had >= needed

    def _uses(self) -> dict[str, SkillUseCount]:
        run = self.run
        return uses_of(
            run.ledger, run.runtime.agent_id, run.solver.model_id, self._skills, self._clusters
        )

    async def _attempt(
        self, places: Sequence[tuple[str, int]], arm: Arm, without: str
    ) -> list[Episode]:
        run = self.run
        tasks = {task.task_id: task for task in run.planned.tasks}
        solver = run.solver.model_copy(update={"without_skill": without})
        return await run.attempt_all(
            [
                run.plan_attempt(
                    tasks[task_id], self.base, Purpose.ABLATE, arm=arm, trial=trial, solver=solver
                )
                for task_id, trial in places
            ]
        )

    def _decide(self, found: Sequence[Ablation]) -> None:
        """Say what each skill is known to do, all comparisons weighed together, and keep it."""
        run, settings = self.run, self.run.settings
        compared = [each.seen for each in found if each.seen is not None]
        states = iter(
            lift_states(compared, false_share=settings.false_share, margin=settings.margin)
        )
        uses = self._uses()
        rows: list[WarrantRow] = []
        for each in found:
            seen, use = each.seen, uses.get(each.doubt.skill, SkillUseCount())
            rows.append(
                WarrantRow(
                    run_key=run.key,
                    agent_id=run.runtime.agent_id,
                    skill=each.doubt.skill,
                    skill_digest=each.doubt.skill_digest,
                    model=run.solver.model_id,
                    profile=run.solver.profile_name,
                    tasks_digest=each.doubt.tasks_digest,
                    library_digest=self.base.skills_digest,
                    n_tasks=len(each.doubt.task_ids),
                    trials=settings.trials,
                    state="never loaded" if seen is None else next(states),
                    offered=use.offered,
                    offered_tasks=len(use.clusters),
                    loaded=use.loaded,
                    followed=use.followed,
                    lift=seen.difference if seen else None,
                    interval_low=seen.interval_low if seen else None,
                    interval_high=seen.interval_high if seen else None,
                    p_two_sided=seen.p_two_sided if seen else None,
                    attempts=each.attempts,
                    cost_usd=each.cost_usd,
                    at=utc_now(),
                )
            )
        run.ledger.append(rows, run_key=run.key)
        self.standing |= {row.skill: row for row in rows}


def _other_library(row: WarrantRow | None, skills_digest: str) -> str:
    """Return why a skill known as harmless is in doubt: it was so beside others than now."""
    other = row is not None and row.state == "harmless" and row.library_digest != skills_digest
    return "the skills beside it changed" if other else ""


def _place(task_id: str, trial: int) -> str:
    return f"{task_id} {trial}"


def _score(episode: Episode, *, beside: Episode) -> float | None:
    own, other = ScoredAttempt.of(episode), ScoredAttempt.of(beside)
    return score_beside(own.score, other.score, broke=own.broke)


def _cost(made: Sequence[Episode]) -> float | None:
    costs = [each.cost_usd for each in made]
    return None if any(cost is None for cost in costs) else sum(filter(None, costs))
