"""Training jobs sent to a work pool."""

import asyncio
from pathlib import Path

from prefect.deployments import arun_deployment

from grindstone.blocks import BlockNames
from grindstone.competency.jobs import TrainingJob, TrainingJobs
from grindstone.settings import CompetencySettings

DEPLOYMENT = "train/train"
"""The deployment training jobs are sent to when a work pool runs them."""


async def send_next(
    jobs: TrainingJobs,
    settings: CompetencySettings,
    blocks: BlockNames,
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
        after: The job that has just ended, well or badly.
    """
    places = {name: value.absolute() for name, value in settings if isinstance(value, Path)}
    sent = settings.model_copy(update=places)  # the worker has a working directory of its own
    for job in await asyncio.to_thread(jobs.pending):
        if after is not None and job.job_id == after.job_id:
            continue
        run = await arun_deployment(
            DEPLOYMENT,
            parameters={
                "job": job.model_dump(mode="json"),
                "settings": sent.model_dump(mode="json"),
                "blocks": blocks.model_dump(mode="json"),
            },
            timeout=0,
            idempotency_key=f"{job.job_id}-{settings.run_key}",
            tags=[f"agent:{job.agent_id}"],
        )
        if run.state is None or not run.state.is_final():
            return
