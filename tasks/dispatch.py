"""Training jobs sent to a work pool."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import get_client
from prefect.deployments import arun_deployment

from grindstone import __version__
from grindstone.agents.agent_file import agent_everywhere
from grindstone.blocks import BlockNames
from grindstone.competency.jobs import TrainingJob, TrainingJobs
from grindstone.runs.plan import choose_tasks
from grindstone.runs.task_set import is_sent, put_tasks
from grindstone.settings import CompetencySettings
from grindstone.spending import left_after
from grindstone.tasks.server_clock import server_ahead

DEPLOYMENT = "train/train"
"""The deployment training jobs are sent to when a work pool runs them."""
FOLDERS = ("tasks_dir", "tasks_with_skills_dir", "tasks_without_skills_dir")


async def send_next(
    jobs: TrainingJobs,
    settings: CompetencySettings,
    blocks: BlockNames,
    paid: Sequence[str],
    *,
    after: TrainingJob | None = None,
) -> None:
    """Have a worker run the most urgent job, which sends the next one when it has ended.

    An agent is trained by one job at a time. Nobody waits here; the next scoring sees what
    came of it. Each job is sent once per scoring run: one whose worker died is sent again by
    the next one.

    Args:
        jobs: An agent's.
        settings: Of the scoring run that ordered the jobs.
        blocks: Saved blocks of that run.
        paid: Runs that were paid for by its ceilings already.
        after: The job that has just ended, well or badly.

    Raises:
        BudgetExceededError: Nothing is left of the ceilings; no job is sent.
        InfrastructureError: The storage of a remote home did not take what the jobs need.
    """
    others = [job for job in await asyncio.to_thread(jobs.pending) if job != after]
    if not others:
        return
    await asyncio.to_thread(left_after, settings, jobs.ledger, paid)
    sent = await asyncio.to_thread(_as_sent, settings)
    async with get_client() as client:  # Prefect would leave open the one that it makes itself
        due = datetime.now(UTC) + await server_ahead(client)
        for job in others:
            run = await arun_deployment(
                DEPLOYMENT,
                client,
                parameters={
                    "job": job.model_dump(mode="json"),
                    "settings": sent,
                    "blocks": blocks.model_dump(mode="json"),
                    "paid": [*paid],
                    "version": __version__,
                },
                timeout=0,
                scheduled_time=due,
                idempotency_key=f"{job.job_id}-{settings.run_key}",
                tags=[f"agent:{job.agent_id}"],
            )
            if run.state is None or not run.state.is_final():
                return


def _as_sent(settings: CompetencySettings) -> dict[str, Any]:
    """Return settings that mean the same on the machine of a worker.

    It has a working directory of its own. Where the home is in storage nothing else is shared:
    the home is named by its address, and what is not everywhere is put there: tasks, and the file
    of the agent that works at them.
    """
    places: dict[str, Any] = {
        name: value.absolute()
        for name, value in settings
        if isinstance(value, Path) and not is_sent(value)
    }
    mirror = settings.home.mirror
    if settings.agent is not None:
        store = None if mirror is None else mirror.store
        places["agent"] = agent_everywhere(settings.agent, store)
    if mirror is not None:
        places["seed_workspace"] = None  # the agent is there by now
        if any(getattr(settings, name) is not None and name in places for name in FOLDERS):
            tasks, _ = choose_tasks(settings)
            places |= dict.fromkeys(FOLDERS)
            places["tasks_dir"] = put_tasks(mirror, tasks)
        places["work_dir"] = mirror.store.url
    return settings.model_dump(mode="json") | {
        name: str(value) if isinstance(value, Path) else value for name, value in places.items()
    }
