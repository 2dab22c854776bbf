"""What gates have made and decided before, so that none of it is made again."""

from collections.abc import Sequence
from typing import NamedTuple

from grindstone.attempt.spec import AttemptSpec
from grindstone.errors import OF_ITS_OWN_DOING
from grindstone.gate.paired import compare_paired
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import GateDecisionRow, GatePairRow
from grindstone.records import Episode, Outcome, Purpose
from grindstone.report.gate_page import Gated, as_pair


class ScoredAttempt(NamedTuple):
    """One attempt and its score; None where infrastructure kept it from having one."""

    episode_id: str
    score: float | None
    broke: bool = False
    """It has none, and may have brought that about itself."""

    @classmethod
    def of(cls, episode: Episode) -> "ScoredAttempt":
        """Take what a pair needs of an episode."""
        error = episode.outcome is Outcome.ERROR
        broke = error and episode.error_cause in OF_ITS_OWN_DOING
        return cls(episode.episode_id, None if error else episode.score, broke)


def made_before(ledger: Ledger, specs: Sequence[AttemptSpec]) -> dict[str, ScoredAttempt]:
    """Return the scored attempts that gates of any run have made of the same content.

    An episode's id is a digest of its content, run and place, so a row is of the same content
    exactly when the id computed from the spec at the row's run and place is the row's own.
    Arms are kept apart: a candidate was accepted partly for its luck, and reusing its scores
    as the next baseline would hold that luck against the next candidate.

    Returns:
        By the `episode_id` of the spec that it stands for.
    """
    import polars as pl

    columns = ("episode_id", "run_key", "cycle", "arm", "task_id", "workspace_tree", "trial")
    rows = (
        ledger.scan(Episode)
        .filter(
            pl.col("purpose") == Purpose.GATE.value,
            pl.col("outcome") != Outcome.ERROR.value,
            pl.col("workspace_tree").is_in(sorted({spec.workspace_tree for spec in specs})),
        )
        .sort("started_at", "episode_id")
        .select(*columns, "score")
        .collect()
        .to_dicts()
    )
    found: dict[str, ScoredAttempt] = {}
    for spec in specs:
        place = (spec.arm, spec.task_id, spec.workspace_tree, spec.trial)
        for row in rows:
            if place != tuple(row[n] for n in ("arm", "task_id", "workspace_tree", "trial")):
                continue
            there = spec.model_copy(update={"run_key": row["run_key"], "cycle": row["cycle"]})
            if there.episode_id == row["episode_id"]:
                found[spec.episode_id] = ScoredAttempt(row["episode_id"], row["score"])
                break
    return found


def decided_before(ledger: Ledger, run_key: str, gate_id: str, said: str) -> Gated | None:
    """Return a gate of this run that has been decided; its decision stands."""
    rows = ledger.rows(GateDecisionRow, run_key)
    row = next((row for row in rows if row.gate_id == gate_id), None)
    if row is None:
        return None
    pairs = [pair for pair in ledger.rows(GatePairRow, run_key) if pair.gate_id == gate_id]
    pairs.sort(key=lambda pair: (pair.trial, pair.task_id))
    seen = compare_paired(as_pair(pair) for pair in pairs)
    return Gated(row=row, pairs=tuple(pairs), comparison=seen, sentence=said)
