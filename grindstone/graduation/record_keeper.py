"""What `GraduationService` takes in: episodes, corrections, ratings, other systems' records."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

from grindstone.graduation.constitution.checking import check
from grindstone.graduation.decisions.after_episode import follow_up
from grindstone.graduation.decisions.review import unchecked_episodes
from grindstone.graduation.evidence.skill_levels import own_levels
from grindstone.graduation.intake.importing import ImportReport, import_file
from grindstone.graduation.intake.open_episode import OpenEpisode
from grindstone.graduation.intake.plausible import refuse_other_telling
from grindstone.graduation.intake.record import as_work, correct, rate, record
from grindstone.graduation.intake.recording import Edit, Rating, Work, work_of_session
from grindstone.graduation.intake.under_way import (
    TakenOverError,
    cut_off_work,
    forget,
    taken_over,
    tasks_under_way,
)
from grindstone.graduation.registry import Registry
from grindstone.ledger.recall import rows_of
from grindstone.ledger.tables.autonomy import InterventionRow
from grindstone.llm.messages import Model
from grindstone.records import Episode, Purpose


class RecordKeeper:
    """Keeps an agent's record; each episode is checked at once."""

    registry: Registry
    judge: Model | None

    async def record_episode(self, **work: Any) -> Episode:
        """Keep one piece of live work and check it at once; fields as in `Work`.

        Raises:
            InputError: A field is missing or wrong, or its id stands for other work.
        """
        told = as_work(work)
        await asyncio.to_thread(refuse_other_telling, self.registry, told)
        return await self.record_work(told)

    async def record_work(self, work: Work, *, purpose: Purpose = Purpose.ROUTE) -> Episode:
        """Keep one piece of live work and check it at once.

        Returns:
            The episode with all its corrections counted; the ledger counts the detailed ones in
            a table of their own.
        """
        episode = await asyncio.to_thread(record, self.registry, work, purpose=purpose)
        await self.after_episode(episode)
        corrected = episode.human_intervention_count + len(work.human_edits)
        return episode.model_copy(update={"human_intervention_count": corrected})

    async def open_episode(self, episode_id: str) -> OpenEpisode:
        """Return a kept episode with its corrections, so that more can be appended.

        Raises:
            InputError: There is no scored episode of that id.
        """

        def work() -> OpenEpisode:
            episode = self.registry.episode(episode_id)
            rows = rows_of(
                self.registry.ledger, InterventionRow, episode.run_key, [episode.episode_id]
            )
            return OpenEpisode.of(episode, rows)

        return await asyncio.to_thread(work)

    async def keep_episode(self, told: OpenEpisode) -> Episode:
        """Keep a new episode, or what was corrected since in one that is kept.

        Raises:
            InputError: It names no agent, or a correction is none.
        """
        if not rows_of(self.registry.ledger, Episode, None, [told.id]):
            return await self.record_work(told.as_work())
        for edit in told.edits_since(await self.open_episode(told.id)):
            await self.record_intervention(told.id, **edit.model_dump())
        return self.registry.episode(told.id)

    async def settle_cut_off(self) -> tuple[str, ...]:
        """Make episodes of live tasks whose process is gone, and close what they had begun.

        In a remote home a task on another machine is waited for, until it gives a sign of life or
        has given none for a minute.

        Returns:
            One sentence per task.

        Raises:
            InfrastructureError: The storage of a remote home did not answer.
        """
        found = await asyncio.to_thread(tasks_under_way, self.registry.home)
        one_after_another = asyncio.Lock()  # whether processes live is waited for side by side
        settled = await asyncio.gather(*(self._settle(path, one_after_another) for path in found))
        return tuple(filter(None, settled))

    async def _settle(self, path: Path, turn: asyncio.Lock) -> str:
        async with taken_over(path) as task, turn:
            if task is None:
                return ""
            try:
                work = await asyncio.to_thread(cut_off_work, self.registry, task)
            except TakenOverError:  # by its own process, which was only silent
                return ""
            await self.record_work(work)
            await asyncio.to_thread(forget, self.registry, task)
        what = f"{work.agent_id}: live task {work.episode_id}"
        if task.ended:
            return f"{what} had ended, and its process before it was kept; it is an episode now"
        deeds = ", ".join(deed.tool for deed in work.actions if deed.tool) or "no action"
        return (
            f"{what} was cut off with its process after {deeds}; it is kept as an episode that was "
            "not done"
        )

    async def create_episode_from_session(
        self, session_id: str, agent_id: str, title: str
    ) -> Episode:
        """Make an episode of a session that `log_session` wrote, and check it at once.

        Raises:
            InputError: There is no such session, it has not ended, or it is kept as other work.
        """
        work = await asyncio.to_thread(
            work_of_session, self.registry.home, session_id, agent_id=agent_id, title=title
        )
        await asyncio.to_thread(refuse_other_telling, self.registry, work)
        return await self.record_work(work)

    async def after_episode(self, episode: Episode) -> tuple[str, ...]:
        """Check an episode against the constitution and note what its agent earned or lost.

        An agent that no longer holds its level loses it at once, or its policy has it proposed.

        Returns:
            One sentence per change.
        """
        await check(self.registry, [episode], judge=self.judge)
        return await asyncio.to_thread(self._followed_up, episode)

    def _followed_up(self, episode: Episode) -> tuple[str, ...]:
        levels = own_levels(self.registry, episode.agent_id)
        return tuple(event.reason for event in follow_up(self.registry, episode, levels))

    def _follow_imported(self, run_key: str) -> None:
        """Note what each agent of a file earned or lost by it."""
        import polars as pl

        of_each = pl.col("episode_id").last()
        rows = self.registry.ledger.scan(Episode, run_key).group_by("agent_id").agg(of_each)
        ids = rows.collect()["episode_id"].to_list()
        for episode in rows_of(self.registry.ledger, Episode, run_key, ids):
            self._followed_up(episode)

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
        episode = await asyncio.to_thread(correct, self.registry, episode_id, edit)
        await asyncio.to_thread(self._followed_up, episode)

    async def rate_episode(
        self, episode_id: str, *, stars: float, rated_by: str, comment: str = ""
    ) -> None:
        """Keep a person's rating of an episode, in stars of five."""
        rating = Rating(rated_by=rated_by, stars=stars, comment=comment)
        episode = await asyncio.to_thread(rate, self.registry, episode_id, rating)
        await asyncio.to_thread(self._followed_up, episode)

    async def import_episodes(self, path: Path, *, by: str) -> ImportReport:
        """Take over another system's episodes, all of a file or none, and check them."""
        report = await asyncio.to_thread(import_file, self.registry, path, by=by)
        if report.accepted:
            agents = list(report.agents)
            while rest := await asyncio.to_thread(
                unchecked_episodes, self.registry, agents, judged=self.judge is not None
            ):
                await check(self.registry, rest, judge=self.judge)
            await asyncio.to_thread(self._follow_imported, report.run_key)
        return report
