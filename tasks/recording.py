"""Bringing what happened into the ledger."""

import asyncio

from grindstone.attempt.run import Attempted
from grindstone.ledger import Ledger
from grindstone.ledger.tables.attempts import (
    SignalsRow,
    SkillUseRow,
    trajectory_rows,
    verdict_rows,
)


async def record_attempt(ledger: Ledger, attempted: Attempted) -> None:
    """Append an attempt's rows; the episode last, so that an episode has all its rows."""
    await asyncio.to_thread(_record, ledger, attempted)


def _record(ledger: Ledger, attempted: Attempted) -> None:
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
        **attempted.signals.model_dump(),
    )
    for rows in ([whole], steps, [verdict], tests, skills, [signals], [episode]):
        ledger.append(rows, run_key=episode.run_key)
