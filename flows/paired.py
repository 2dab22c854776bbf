"""The same tasks and trials in both arms of a comparison, ended where the rest cannot matter."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from grindstone.attempt.arms import Arms
from grindstone.attempt.gate_memory import ScoredAttempt, made_before
from grindstone.benchmark import Task
from grindstone.benchmark.dataset import clusters_of
from grindstone.benchmark.skillbench import TaskPair
from grindstone.flows.attempt import Enough, PlannedAttempt
from grindstone.flows.run import Run
from grindstone.gate.paired import score_beside
from grindstone.gate.rules import Rule, settled
from grindstone.ledger.tables.runs import GatePairRow
from grindstone.records import Arm, Episode, Purpose
from grindstone.report.gate_page import as_pair
from grindstone.runs.progress import Advanced
from grindstone.settings import RunSettings
from grindstone.text import count
from grindstone.workspace import Snapshot

AttemptPair = tuple[PlannedAttempt, PlannedAttempt]  # the baseline's attempt and the candidate's


def attempts_of(
    run: Run[RunSettings],
    tasks: Sequence[Task],
    arms: Arms,
    *,
    trials: Iterable[int],
    cycle: int = 0,
    purpose: Purpose = Purpose.GATE,
) -> list[AttemptPair]:
    """Return the attempts of a gate, all tasks of a trial before the next trial."""

    def wanted(task: Task, arm: Arm, at: Snapshot, trial: int) -> PlannedAttempt:
        return run.plan_attempt(task, at, purpose, arm=arm, trial=trial, cycle=cycle)

    return [
        (
            wanted(task, Arm.BASELINE, arms.baseline, trial),
            wanted(task, Arm.CANDIDATE, arms.candidate, trial),
        )
        for trial in trials
        for task in tasks
    ]


async def both_arms(
    run: Run[RunSettings], pairs: Sequence[TaskPair], snapshot: Snapshot, *, trials: int
) -> list[Episode]:
    """Attempt every task `trials` times in each arm.

    The arm without is offered no skill and loses those its image brings; prompt, memory and
    everything else is the same. The arms take turns, so that a service that slows down or
    gives way during the run does so to both.

    Args:
        run: The run.
        pairs: The tasks, for the arm with and the arm without.
        snapshot: The workspace both arms have.
        trials: Attempts per task and arm.

    Raises:
        BudgetExceededError: A ceiling was reached.
        InputError: A task is broken, or changed since the run was planned.
    """
    solvers = {
        arm: run.solver.model_copy(update={"with_skills": arm is Arm.WITH})
        for arm in (Arm.WITH, Arm.WITHOUT)
    }
    total = 2 * trials * len(pairs)
    run.note(f"With against without skills: {count(total, 'attempt')}")
    ended = 0

    def ends(_episode: Episode) -> bool:
        nonlocal ended
        ended += 1
        run.tell(Advanced(ended, total))
        return False

    return await run.attempt_all(
        [
            run.plan_attempt(
                task, snapshot, Purpose.COMPARE, arm=arm, trial=trial, solver=solvers[arm]
            )
            for trial in range(trials)
            for pair in pairs
            for arm, task in ((Arm.WITH, pair.with_skills), (Arm.WITHOUT, pair.without_skills))
        ],
        Enough(ends, possible=False),
    )


async def compare_arms(
    run: Run[RunSettings],
    plan: Sequence[AttemptPair],
    *,
    gate_id: str,
    until_settled: Rule | None,
    reuse: bool = True,
) -> list[GatePairRow]:
    """Make the attempts of a plan, and may stop when the rest cannot matter.

    No pair waits for another one, so an attempt that takes long costs the others nothing. What is
    under way when the rest cannot matter any more still counts.

    Args:
        run: The run they belong to.
        plan: What to attempt.
        gate_id: Names the gate within the run.
        until_settled: The rule whose verdict ends the plan once it is settled; None: all of it.
        reuse: Whether attempts that gates made before may stand for these.

    Returns:
        The pairs both of whose attempts were made, in the order of the plan.
    """
    pairs = _Pairs(plan, gate_id, until_settled)
    if reuse:
        specs = [item.spec for pair in plan for item in pair]
        pairs.known |= await asyncio.to_thread(made_before, run.ledger, specs)
        if pairs.known:
            told = f"{len(pairs.known)} of {len(specs)} attempts were made before and are reused"
            run.note(told)

    def ends(episode: Episode) -> bool:
        if not pairs.take(episode):
            return False
        run.tell(Advanced(len(pairs.rows()[0]), len(plan)))
        return pairs.settled()

    missing = pairs.missing()
    if missing and not pairs.settled():
        await run.attempt_all(missing, Enough(ends, possible=until_settled is not None))
    done, left = pairs.rows()
    if left:
        run.note(f"The remaining {count(len(left), 'pair')} cannot change the verdict; left out")
    return done


@dataclass
class _Pairs:
    """The pairs of a plan, and what is known of their attempts by the ids of the episodes."""

    plan: Sequence[AttemptPair]
    gate_id: str
    rule: Rule | None
    known: dict[str, ScoredAttempt] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [(first.spec.episode_id, second.spec.episode_id) for first, second in self.plan]
        self._other = dict(names) | {second: first for first, second in names}
        self._clusters = clusters_of(
            {pair[0].task.task_id: pair[0].task for pair in self.plan}.values()
        )

    def missing(self) -> list[PlannedAttempt]:
        """Return the attempts nothing is known of."""
        return [item for pair in self.plan for item in pair if not self._has(item)]

    def take(self, episode: Episode) -> bool:
        """Note what came of an attempt; return whether that of the other arm is known, too."""
        self.known[episode.episode_id] = ScoredAttempt.of(episode)
        return self._other[episode.episode_id] in self.known

    def rows(self) -> tuple[list[GatePairRow], list[GatePairRow]]:
        """Return the pairs that were made, and those that were not yet."""
        done: list[GatePairRow] = []
        left: list[GatePairRow] = []
        for pair in self.plan:
            whole = all(map(self._has, pair))
            (done if whole else left).append(self._row(pair, whole=whole))
        return done, left

    def settled(self) -> bool:
        """Return whether the rule's answer is the same whatever is still to come."""
        if self.rule is None:
            return False
        done, left = (list(map(as_pair, rows)) for rows in self.rows())
        return settled(self.rule, done, left)

    def _has(self, item: PlannedAttempt) -> bool:
        return item.spec.episode_id in self.known

    def _row(self, pair: AttemptPair, *, whole: bool) -> GatePairRow:
        """Return a pair's row. Of one still to come, only the baseline's score may be known."""
        first, second = pair
        before = self.known.get(first.spec.episode_id, ScoredAttempt("", None))
        after = self.known.get(second.spec.episode_id, ScoredAttempt("", None))
        sides = ((Arm.BASELINE, before, after), (Arm.CANDIDATE, after, before))
        scores = {
            arm: score_beside(its.score, other.score, broke=its.broke) for arm, its, other in sides
        }
        broke = [arm for arm, its, _ in sides if its.score is None and scores[arm] is not None]
        return GatePairRow(
            run_key=first.spec.run_key,
            gate_id=self.gate_id,
            cycle=first.spec.cycle,
            task_id=first.task.task_id,
            category=first.task.category,
            cluster=self._clusters[first.task.task_id],
            trial=first.spec.trial,
            baseline_episode_id=before.episode_id,
            candidate_episode_id=after.episode_id,
            baseline_score=scores[Arm.BASELINE] if whole else before.score,
            candidate_score=scores[Arm.CANDIDATE] if whole else None,
            broke=broke[0] if whole and broke else Arm.NONE,
        )
