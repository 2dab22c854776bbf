"""A change whose gate has not ended does not stand while its run does not go on.

It is committed before it is weighed, and a run that a ceiling, a person or an outage ends within
the gate may never be resumed; whoever uses the agent next would have what nobody weighed. So it is
taken away, and brought back where the run goes on.
"""

from grindstone.attempt.arms import Arms
from grindstone.ledger.tables.runs import EvolutionRow
from grindstone.records import utc_now
from grindstone.tasks.runtime import Runtime
from grindstone.workspace import Workspace


def take_away(runtime: Runtime, arms: Arms, gate_id: str) -> None:
    """Restore the baseline's files, where the workspace still is what was being weighed."""
    workspace = runtime.workspace
    if workspace.snapshot().tree != arms.candidate.tree:
        return
    why = "The run ended before the gate did: taken away until it goes on"
    _restore(runtime, arms, gate_id, to=arms.baseline.commit, why=why, stands=False)
    runtime.note(why)


def bring_back(runtime: Runtime, arms: Arms, gate_id: str) -> bool:
    """Bring back what was taken away; return whether there is anything to weigh.

    It is not where it was taken away and somebody changed the agent since.
    """
    workspace = runtime.workspace
    if not _times(workspace, runtime, gate_id) % 2:  # each is taken away and brought back in turn
        return True
    if workspace.snapshot().tree != arms.baseline.tree:
        told = f"Gate {gate_id}: not weighed to its end, and the agent has changed since: left out"
        runtime.note(told)
        return False
    why = "The run goes on, and so does the gate"
    _restore(runtime, arms, gate_id, to=arms.candidate.commit, why=why, stands=True)
    return True


def _step(runtime: Runtime, gate_id: str) -> str:
    return f"{runtime.run_key}/{gate_id}/unweighed-"


def _times(workspace: Workspace, runtime: Runtime, gate_id: str) -> int:
    return sum(ref.step.startswith(_step(runtime, gate_id)) for ref in workspace.history())


def _restore(
    runtime: Runtime, arms: Arms, gate_id: str, *, to: str, why: str, stands: bool
) -> None:
    """Restore a state by a commit, and note of each evolution between whether it stands."""
    workspace = runtime.workspace
    number = _times(workspace, runtime, gate_id)
    step = f"{_step(runtime, gate_id)}{number}"
    kept = workspace.standing(arms.baseline.commit)
    moved = [n for n in workspace.standing(arms.candidate.commit) if n not in kept]
    ref = workspace.rollback(to, reason=why, step=step)
    rows = [
        EvolutionRow(
            run_key=runtime.run_key,
            evo_number=n,
            step=f"{gate_id}/unweighed-{number}",
            agent_id=runtime.agent_id,
            commit_after=ref.commit,
            tree_after=ref.tree,
            tree_before=ref.tree,
            accepted=stands,
            note=why,
            at=utc_now(),
        )
        for n in moved
    ]
    runtime.ledger.append(rows, run_key=runtime.run_key)
