"""Attempts as the ledger keeps them, put together again from their tables."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from pydantic import BaseModel

from grindstone.errors import InputError
from grindstone.ledger.columns import row_from
from grindstone.ledger.row import table_of
from grindstone.ledger.store import Ledger
from grindstone.ledger.tables.attempts import (
    SkillUseRow,
    StepRow,
    TestResultRow,
    TrajectoryRow,
    VerdictRow,
    steps_of,
    trajectory_of,
)
from grindstone.records import Episode, Outcome, Step, TestResult, Trajectory, Verdict

if TYPE_CHECKING:
    import polars as pl

R = TypeVar("R", bound=BaseModel)
E = TypeVar("E", StepRow, TestResultRow, SkillUseRow)


class Recalled(NamedTuple):
    """One attempt with a score."""

    episode: Episode
    trajectory: Trajectory
    verdict: Verdict
    uses: tuple[SkillUseRow, ...]


def rows_of(
    ledger: Ledger, row: type[R], run_key: str | None, episode_ids: Collection[str]
) -> list[R]:
    """Return the rows of a table that concern some episodes."""
    import polars as pl

    frame = ledger.scan(row, run_key).filter(pl.col("episode_id").is_in(sorted(episode_ids)))
    return _models(row, frame)


def by_episode(
    ledger: Ledger, row: type[E], run_key: str | None, episode_ids: Collection[str]
) -> defaultdict[str, list[E]]:
    """Return the same by their episodes; one without rows has an empty list."""
    found: defaultdict[str, list[E]] = defaultdict(list)
    for each in rows_of(ledger, row, run_key, episode_ids):
        found[each.episode_id].append(each)
    return found


def one_of(rows: Sequence[Episode], start: str, where: str) -> Episode:
    """Return the one attempt whose id begins so.

    Args:
        rows: The attempts there are.
        start: The beginning of an id, as lists show it, or all of it.
        where: What the user wrote it into.

    Raises:
        InputError: No attempt's does, or those of several.
    """
    found = [row for row in rows if row.episode_id == start]
    found = found or [row for row in rows if row.episode_id.startswith(start)]
    if len(found) != 1:
        problem = "names no attempt" if not found else f"fits {len(found)} attempts"
        raise InputError(where, f"{problem}: {start!r}", "the start of one attempt's id")
    return found[0]


def steps_between(
    ledger: Ledger, run_key: str, episode_id: str, first: int, end: int
) -> tuple[Step, ...]:
    """Return some of an attempt's steps without reading the others' text.

    Args:
        ledger: The home's.
        run_key: The attempt's run.
        episode_id: The attempt.
        first: Index of the first step.
        end: Index behind the last step.
    """
    import polars as pl

    index, own = pl.col("index"), pl.col("episode_id") == episode_id
    frame = ledger.scan(StepRow, run_key).filter(own, index >= first, index < end)
    return steps_of(_models(StepRow, frame))


def _models(row: type[R], frame: "pl.LazyFrame") -> list[R]:
    table = table_of(row)
    return [
        row.model_validate(row_from(row, table.columns, record))
        for record in frame.collect().to_dicts()
    ]


def scored_episodes(ledger: Ledger, run_key: str) -> dict[str, Episode]:
    """Return a run's attempts that have a score, by their ids."""
    return {
        row.episode_id: row
        for row in ledger.rows(Episode, run_key)
        if row.outcome is not Outcome.ERROR
    }


class ScoredEpisodes:
    """A run's attempts that have a score, for who looks again and again: parts are read once."""

    def __init__(self, ledger: Ledger, run_key: str) -> None:
        """Take the ledger and the run."""
        self._ledger, self._run_key = ledger, run_key
        self._read: set[str] = set()
        self._found: dict[str, Episode] = {}

    def now(self) -> dict[str, Episode]:
        """Return them by their ids, as of now.

        Raises:
            LedgerError: A part is damaged.
            InfrastructureError: The storage of a remote home did not answer.
        """
        if fresh := self._ledger.arrived(Episode, self._run_key, self._read):
            frame = self._ledger.scan_parts(Episode, [part.path for part in fresh])
            for row in _models(Episode, frame):
                if row.outcome is not Outcome.ERROR:
                    self._found.setdefault(row.episode_id, row)
            self._read.update(part.name for part in fresh)
        return dict(self._found)


def recall(ledger: Ledger, run_key: str, episode_ids: Sequence[str]) -> list[Recalled]:
    """Return scored attempts in the order of their ids; those without a score are left out."""
    wanted = set(episode_ids)
    episodes = {row.episode_id: row for row in rows_of(ledger, Episode, run_key, wanted)}
    ends = {row.episode_id: row for row in rows_of(ledger, TrajectoryRow, run_key, wanted)}
    verdicts = {row.episode_id: row for row in rows_of(ledger, VerdictRow, run_key, wanted)}
    steps = by_episode(ledger, StepRow, run_key, wanted)
    tests = by_episode(ledger, TestResultRow, run_key, wanted)
    uses = by_episode(ledger, SkillUseRow, run_key, wanted)
    return [
        Recalled(
            episode=episodes[key],
            trajectory=trajectory_of(ends[key], steps[key]),
            verdict=_verdict(verdicts[key], tests[key]),
            uses=tuple(sorted(uses[key], key=lambda use: use.skill)),
        )
        for key in episode_ids
        if key in episodes and key in ends and key in verdicts
    ]


def _verdict(row: VerdictRow, tests: Sequence[TestResultRow]) -> Verdict:
    return Verdict(
        reward=row.reward,
        passed=row.passed,
        tests=tuple(
            TestResult.model_validate(
                {"name": test.name, "status": test.status, "message": test.message}
            )
            for test in sorted(tests, key=lambda test: test.position)
        ),
        output=row.output,
        exit_code=row.exit_code,
        duration_s=row.duration_s,
    )
