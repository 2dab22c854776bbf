"""What came of a training: compared, told to the router, or taken back."""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from grindstone.benchmark.dataset import Marked, units_of
from grindstone.competency.jobs import Ending, TrainingJob, TrainingOutcome
from grindstone.competency.measured import practised_by
from grindstone.competency.outcomes import OutcomeLog
from grindstone.competency.tracker import CompetencyTracker
from grindstone.digest import digest
from grindstone.ledger import Ledger
from grindstone.ledger.tables.autonomy import OutcomeRow
from grindstone.records import Episode
from grindstone.report.words import money
from grindstone.text import count
from grindstone.workspace import Snapshot, Workspace


def practice_key(job: TrainingJob) -> str:
    """Return the key of the run a job learns in."""
    return f"{job.job_id}-{job.kind}"


class Compared(NamedTuple):
    """Mean scores on the base's scale, on the same tasks and trials before and after."""

    before: float
    after: float
    attempts: int

    def told(self) -> str:
        """Return it in words."""
        each = count(self.attempts, "attempt")
        return f"{self.before:.2f} before, {self.after:.2f} after, on {each} each"


def held_out(
    ledger: Ledger, agent_id: str, tasks: Collection[Marked], share: float
) -> frozenset[str]:
    """Return the ids of the tasks that a training is measured by and does not train on.

    Those the agent never trained on come first, then by a digest of the name, so that the same
    ones stay held out from one training to the next, and when a training is taken up again.
    Copies of a task, and tasks of one cluster, are on one side: they would measure what was
    learned by heart.

    Args:
        ledger: Tells what the agent trained on.
        agent_id: Who is trained.
        tasks: The domain's.
        share: Of them, from 0 to below 1; at least one task is left to train on.
    """
    units = [[task.task_id for task in unit] for unit in units_of(tasks)]
    wanted = min(max(1, round(share * len(units))), len(units) - 1)
    if share <= 0 or wanted < 1:
        return frozenset()
    trained = practised_by(ledger, agent_id)
    units.sort(key=lambda names: (not trained.isdisjoint(names), digest(names[0])))
    return frozenset(name for unit in units[:wanted] for name in unit)


def weighed(
    before: Sequence[Episode],
    after: Sequence[Episode],
    base: Snapshot,
    then: Snapshot,
    *,
    scale: float,
    held: Collection[str] = (),
) -> TrainingOutcome:
    """Compare on the tasks and trials that were scored both times; done is shown on those held out.

    A training that lowers what was held out is taken back; one that helps only where it trained
    stands, and is unproven.
    """
    every = _compared(before, after, scale, lambda _: True)
    if every is None:
        why = next((item.error_detail for item in (*before, *after) if item.score is None), "")
        note = f"no attempt was scored both times: {why}"[:500] if why else "no task was attempted"
        return TrainingOutcome(status="failed", note=note)
    if base.tree == then.tree:
        return TrainingOutcome(
            status="unhelpful", before=every.before, after=every.before, note="nothing was learned"
        )
    shown = _compared(before, after, scale, lambda task_id: task_id in held)
    trained = _compared(before, after, scale, lambda task_id: task_id not in held) or every
    if shown is None:
        missing = "no task of the domain was held out: what it does on others is not shown"
        return _ended("unproven" if every.after > every.before else "unhelpful", every, missing)
    full = shown.before >= scale - 1e-9 and shown.after >= scale - 1e-9
    rose = shown.after > shown.before or (full and trained.after > trained.before)
    note = f"held-out tasks {', '.join(sorted(held))}; those trained on: {trained.told()}"
    if rose:
        return _ended("done", shown, note)
    if shown.after < shown.before or trained.after <= trained.before:
        return _ended("unhelpful", shown, note)
    cost = _mean_cost(after)
    price = f", an attempt costs about {money(cost)}" if cost else ""
    missing = f"a rise on held-out tasks is missing: more of them, or more trials{price}"
    return _ended("unproven", shown, f"{note}; {missing}")


def _ended(status: Ending, found: Compared, note: str) -> TrainingOutcome:
    rolled_back = "; the workspace was rolled back" if status == "unhelpful" else ""
    return TrainingOutcome(
        status=status,
        before=found.before,
        after=found.after,
        note=f"{found.told()}{rolled_back}; {note}",
    )


def _compared(
    before: Sequence[Episode],
    after: Sequence[Episode],
    scale: float,
    wanted: Callable[[str], bool],
) -> Compared | None:
    pairs = [
        (one.score, two.score)
        for one, two in zip(before, after, strict=True)
        if one.score is not None and two.score is not None and wanted(one.task_id)
    ]
    if not pairs:
        return None
    was, now = (scale * sum(each) / len(pairs) for each in zip(*pairs, strict=True))
    return Compared(was, now, len(pairs))


def _mean_cost(episodes: Sequence[Episode]) -> float | None:
    known = [each.cost_usd for each in episodes if each.cost_usd is not None]
    return sum(known) / len(known) if known else None


def take_back(
    job: TrainingJob,
    workspace: Workspace,
    base: Snapshot,
    learned: Snapshot | None,
    why: str,
) -> None:
    """Undo what a training changed, unless somebody changed the workspace since it was seen."""
    with workspace.writing():
        now = workspace.snapshot()
        if now.tree != base.tree and (learned is None or now.commit == learned.commit):
            step = f"{job.job_id}/rollback"
            workspace.rollback(base.commit, reason=f"The training was taken back: {why}", step=step)


def tell_tracker(
    ledger: Ledger, job: TrainingJob, episodes: Sequence[Episode], *, base: float
) -> None:
    """Let the router know what the trained agent can do now."""
    tracker = CompetencyTracker(base, log=OutcomeLog(ledger, job.agent_id))
    for episode in episodes:
        if episode.passed is not None:
            about = OutcomeRow(
                outcome_id=episode.episode_id,
                domain=job.domain,
                success=episode.passed,
                agent_id=job.agent_id,
                episode_id=episode.episode_id,
                at=episode.ended_at,
            )
            tracker.record(job.domain, episode.passed, outcome_id=episode.episode_id, about=about)
