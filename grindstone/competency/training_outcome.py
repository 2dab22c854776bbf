"""What came of a training: compared, told to the router, or taken back."""

from collections.abc import Sequence

from grindstone.competency.jobs import TrainingJob, TrainingOutcome
from grindstone.competency.outcomes import OutcomeLog
from grindstone.competency.tracker import CompetencyTracker
from grindstone.ledger import Ledger
from grindstone.ledger.tables.autonomy import OutcomeRow
from grindstone.records import Episode
from grindstone.workspace import Snapshot, Workspace


def practice_key(job: TrainingJob) -> str:
    """Return the key of the run a job learns in."""
    return f"{job.job_id}-{job.kind}"


def weighed(
    before: Sequence[Episode],
    after: Sequence[Episode],
    base: Snapshot,
    then: Snapshot,
    *,
    scale: float,
) -> TrainingOutcome:
    """Compare on the tasks and trials that were scored both times."""
    pairs = [
        (one.score, two.score)
        for one, two in zip(before, after, strict=True)
        if one.score is not None and two.score is not None
    ]
    if not pairs:
        return TrainingOutcome(status="failed", note="no attempt was scored both times")
    was, now = (scale * sum(each) / len(pairs) for each in zip(*pairs, strict=True))
    if base.tree == then.tree:
        return TrainingOutcome(
            status="unhelpful", before=was, after=was, note="nothing was learned"
        )
    told = f"{was:.2f} before, {now:.2f} after, on {len(pairs)} attempts each"
    if now > was:
        return TrainingOutcome(status="done", before=was, after=now, note=told)
    note = f"{told}; the workspace was rolled back"
    return TrainingOutcome(status="unhelpful", before=was, after=now, note=note)


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
