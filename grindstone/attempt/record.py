"""Bringing an attempt into the ledger, once and whole."""

import asyncio
from collections.abc import Awaitable, Callable, Collection

from pydantic import TypeAdapter

from grindstone.attempt.run import AttemptResult
from grindstone.home import RunFolder
from grindstone.ledger import Ledger
from grindstone.ledger.tables.attempts import (
    SignalsRow,
    SkillUseRow,
    trajectory_rows,
    verdict_rows,
)
from grindstone.remote.home_files import files_of

_ATTEMPTED = TypeAdapter(AttemptResult)


async def record_attempt(
    ledger: Ledger,
    run: RunFolder,
    episode_id: str,
    make: Callable[[], Awaitable[AttemptResult]],
    mask: Callable[[str], str],
) -> AttemptResult:
    """Make an attempt and append its rows; the episode last, so that it has all its rows.

    What the attempt left is on disk as one file before the first row: a run that is killed
    between two tables goes on with that, and never mixes rows of two attempts.

    Args:
        ledger: Where the rows go.
        run: The run's folder.
        episode_id: The attempt.
        make: Makes the attempt.
        mask: Replaces known keys in what is kept.
    """
    path, files = run.attempt(episode_id), files_of(run.root)
    if await asyncio.to_thread(files.fetch, path):
        attempted = _ATTEMPTED.validate_json(await asyncio.to_thread(path.read_bytes))
    else:
        text = mask(_ATTEMPTED.dump_json(await make()).decode())
        attempted = _ATTEMPTED.validate_json(text)
        await asyncio.to_thread(files.write, path, text)
    await asyncio.to_thread(_record, ledger, attempted)
    await asyncio.to_thread(files.remove, path)
    return attempted


def drop_recorded(run: RunFolder, recorded: Collection[str]) -> None:
    """Remove what is left of attempts in the ledger: who put them there was killed before it could.

    Args:
        run: The run's folder.
        recorded: Their episodes.

    Raises:
        InfrastructureError: The storage of a remote home did not answer.
    """
    folder = run.attempt("any").parent
    files_of(folder).sweep(folder, lambda path: path.suffix == ".json" and path.stem in recorded)


def _record(ledger: Ledger, attempted: AttemptResult) -> None:
    episode = attempted.episode
    whole, steps = trajectory_rows(episode.episode_id, attempted.trajectory)
    verdict, tests = verdict_rows(episode.episode_id, attempted.verdict)
    uses = {use.skill: use for use in attempted.uses}
    skills = [
        SkillUseRow(
            episode_id=episode.episode_id,
            skill=item.skill.name,
            skill_digest=item.skill.digest,
            scope="task" if item.own else "general",
            selection_method=item.method,
            selection_score=item.score,
            selection_reason=item.reason,
            offered=True,
            loaded=uses[item.skill.name].loaded,
            followed=uses[item.skill.name].followed,
            matched_commands=uses[item.skill.name].matched_commands,
            taught_commands=uses[item.skill.name].taught_commands,
        )
        for item in attempted.offered
    ]
    signals = SignalsRow(
        episode_id=episode.episode_id,
        task_id=episode.task_id,
        cycle=episode.cycle,
        **attempted.signals.model_dump(exclude={"repeated_commands"}),
        repeated_commands=tuple(item.command for item in attempted.signals.repeated_commands),
    )
    for rows in ([whole], steps, [verdict], tests, skills, [signals], [episode]):
        ledger.append(rows, run_key=episode.run_key)
