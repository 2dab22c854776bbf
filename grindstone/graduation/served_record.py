"""The service's methods that bring work and people's word of it into the record."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from grindstone.errors import InputError
from grindstone.graduation.constitution.checking import check
from grindstone.graduation.decisions.demotion import demote_if_due
from grindstone.graduation.evidence.skill_levels import note_changes, own_levels
from grindstone.graduation.intake.importing import ImportReport, import_file
from grindstone.graduation.intake.recording import (
    Edit,
    Rating,
    Work,
    edit_row,
    keep,
    live_run,
    rating_row,
    rows_for,
    work_of_session,
)
from grindstone.graduation.registry import Registry
from grindstone.llm.messages import Model
from grindstone.records import Episode, Purpose


class ServedRecord:
    """Episodes, sessions, corrections, ratings and imports; each episode is checked at once."""

    registry: Registry
    judge: Model | None

    async def record_episode(self, **work: Any) -> Episode:
        """Keep one piece of live work and check it at once; fields as in `Work`.

        Raises:
            InputError: A field is missing or wrong.
        """
        try:
            found = Work.model_validate(work)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise InputError(f"episode: {where}", first["msg"], "a field of Work") from error
        return await self.record_work(found)

    async def record_work(self, work: Work, *, purpose: Purpose = Purpose.ROUTE) -> Episode:
        """Keep one piece of live work and check it at once."""
        run_key = live_run(work.agent_id, work.started_at)
        recorded = await asyncio.to_thread(
            rows_for,
            self.registry,
            work,
            run_key=run_key,
            purpose=purpose,
            now=self.registry.clock(),
        )
        await asyncio.to_thread(keep, self.registry, [recorded], run_key=run_key)
        await self.after_episode(recorded.episode)
        return recorded.episode

    async def create_episode_from_session(
        self, session_id: str, agent_id: str, title: str
    ) -> Episode:
        """Make an episode of a session that `log_session` wrote, and check it at once.

        Raises:
            InputError: There is no such session, or it has not ended.
        """
        work = await asyncio.to_thread(
            work_of_session, self.registry.home, session_id, agent_id=agent_id, title=title
        )
        return await self.record_work(work)

    async def after_episode(self, episode: Episode) -> tuple[str, ...]:
        """Check an episode against the constitution and note what its agent earned or lost.

        An agent that no longer holds its level loses it at once, or its policy has it proposed.

        Returns:
            One sentence per change.
        """
        await check(self.registry, [episode], judge=self.judge)
        return await asyncio.to_thread(self._consequences, episode)

    def _consequences(self, episode: Episode) -> tuple[str, ...]:
        agent_id, known = episode.agent_id, len(self.registry.chain.events())
        note_changes(self.registry, own_levels(self.registry, agent_id))
        if episode.purpose in self.registry.policy(agent_id).demotion.purposes:
            demote_if_due(self.registry, self.registry.agent(agent_id))
        since = self.registry.chain.events()[known:]
        return tuple(event.reason for event in since if event.agent_id == agent_id)

    async def record_intervention(
        self,
        episode_id: str,
        *,
        field: str,
        original: str = "",
        correction: str = "",
        reason: str = "",
        corrected_by: str = "",
        timestamp: datetime | None = None,
    ) -> None:
        """Keep one correction of an episode."""
        edit = Edit(
            field=field,
            original=original,
            correction=correction,
            reason=reason,
            corrected_by=corrected_by,
            timestamp=timestamp,
        )

        def work() -> Episode:
            episode = self.registry.episode(episode_id)
            row = edit_row(episode, edit, now=self.registry.clock())
            self.registry.ledger.append([row], run_key=episode.run_key)
            return episode

        episode = await asyncio.to_thread(work)
        await asyncio.to_thread(self._consequences, episode)

    async def rate_episode(
        self, episode_id: str, *, stars: float, rated_by: str, comment: str = ""
    ) -> None:
        """Keep a person's rating of an episode, in stars of five."""
        rating = Rating(rated_by=rated_by, stars=stars, comment=comment)

        def work() -> None:
            episode = self.registry.episode(episode_id)
            row = rating_row(episode, rating, now=self.registry.clock())
            self.registry.ledger.append([row], run_key=episode.run_key)

        await asyncio.to_thread(work)

    async def import_episodes(self, path: Path, *, by: str) -> ImportReport:
        """Take over another system's episodes, all of a file or none, and check them."""
        report = await asyncio.to_thread(import_file, self.registry, path, by=by)
        if report.accepted:
            from grindstone.graduation.decisions.review import unchecked_episodes

            while rest := await asyncio.to_thread(
                unchecked_episodes, self.registry, list(report.agents)
            ):
                await check(self.registry, rest, judge=self.judge)
        return report
