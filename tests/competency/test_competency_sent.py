"""Trainings sent to a work pool: by which version, and for what is left of the ceilings."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.client.schemas.objects import FlowRun, State
from prefect.flow_engine import run_flow_async
from support.agents import agent

from grindstone import __version__
from grindstone.blocks import BlockNames
from grindstone.competency import TrainingJob, TrainingJobs
from grindstone.competency.training_outcome import practice_key
from grindstone.errors import BudgetExceededError
from grindstone.flows.train import train
from grindstone.ledger import Ledger
from grindstone.llm import CallRecord
from grindstone.records import Role, Usage, utc_now
from grindstone.settings import CompetencySettings
from grindstone.tasks.dispatch import send_next

pytestmark = [pytest.mark.server, pytest.mark.timeout(120)]

CEILING = 1_000


class Ordered(NamedTuple):
    """A home with trainings that were ordered, for a pool without a worker."""

    client: PrefectClient
    jobs: TrainingJobs
    first: TrainingJob
    settings: CompetencySettings

    @property
    def scoring(self) -> str:
        """The run that ordered them."""
        return str(self.settings.run_key)

    async def sent(self) -> list[FlowRun]:
        deployment = await self.client.read_deployment_by_name("train/train")
        runs = await self.client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                deployment_id=FlowRunFilterDeploymentId(any_=[deployment.id])
            )
        )
        place = str(self.settings.work_dir)
        return [run for run in runs if run.parameters["settings"]["work_dir"] == place]

    def used(self, run_key: str, tokens: int) -> None:
        """Have a run paid for a call."""
        call = CallRecord(
            call_id=f"{run_key}-{tokens}",
            run_key=run_key,
            role=Role.SOLVER,
            scope="s",
            turn=0,
            model="claude",
            provider="anthropic",
            usage=Usage(input_tokens=tokens),
            started_at=utc_now(),
            duration_s=1.0,
        )
        Ledger(self.settings.home).append([call], run_key=run_key)


@pytest.fixture
async def ordered(tmp_path: Path, prefect_server: str) -> AsyncIterator[Ordered]:
    agent(tmp_path, "ann")
    settings = CompetencySettings(
        work_dir=tmp_path,
        agent_id="ann",
        model_id="rehearsal",
        task_ids=("crlf-kit", "merged-timeline"),
        max_tokens_total=CEILING,
        train="deployment",
        run_key=f"scoring-{tmp_path.name}",
    )
    jobs = TrainingJobs(settings.home, "ann")
    first = jobs.enqueue("legacy-build")
    assert first is not None and jobs.enqueue("log-analysis") is not None
    async with get_client() as client:
        pool = await client.create_work_pool(WorkPoolCreate(name=tmp_path.name, type="process"))
        await client.create_deployment(
            await client.create_flow(train),
            "train",
            work_pool_name=pool.name,
            enforce_parameter_schema=False,
        )
        yield Ordered(client, jobs, first, settings)


async def made(ordered: Ordered, change: dict[str, Any]) -> State[Any]:
    """What a worker makes of the first training, with a change to what it was sent."""
    await send_next(ordered.jobs, ordered.settings, BlockNames(), [ordered.scoring])
    [run] = await ordered.sent()
    return await run_flow_async(
        train, flow_run=run, parameters=run.parameters | change, return_type="state"
    )


def later(ordered: Ordered, change: dict[str, Any]) -> dict[str, Any]:
    """A change, with the home that any version's settings name."""
    if "settings" not in change:
        return change
    place = {"work_dir": str(ordered.settings.work_dir)}
    return change | {"settings": change["settings"] | place}


LATER = {"settings": {"later": 1}}
"""A form that this version does not know."""


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"version": "9.0"}, f"has Grindstone {__version__}, and the run that sent it .* 9.0"),
        ({"version": "9.0"} | LATER, f"has Grindstone {__version__}, .* 9.0"),
        ({"version": "9.0", "job": {"later": 1}}, f"has Grindstone {__version__}, .* 9.0"),
        (LATER, f"cannot read .*, though both sides are {__version__}"),
        ({"version": ""} | LATER, "sent it a training an earlier one"),
    ],
    ids=["version", "settings", "job", "one version with two forms", "version untold"],
)
async def test_a_worker_of_another_version_refuses_a_training_in_one_sentence(
    ordered: Ordered, change: dict[str, Any], why: str
):
    state = await made(ordered, later(ordered, change))
    assert state.name == "Refused"
    assert state.message is not None and len(state.message.splitlines()) == 1
    assert re.match(f"worker .*{why}", state.message), state.message
    assert ordered.jobs.status(ordered.first.job_id) == "queued", "it is not failed for that"
    [row] = [row for row in ordered.jobs.latest() if row.job_id == ordered.first.job_id]
    assert row.note == ("" if "job" in change else state.message), "compete shows it"


async def test_nothing_is_sent_where_the_scoring_has_used_its_ceiling(ordered: Ordered):
    ordered.used(ordered.scoring, CEILING)
    with pytest.raises(BudgetExceededError, match="max_tokens_total 1,000 is used up"):
        await send_next(ordered.jobs, ordered.settings, BlockNames(), [ordered.scoring])
    assert await ordered.sent() == []


async def test_a_training_has_what_the_scoring_and_those_before_it_left(ordered: Ordered):
    ordered.used(ordered.scoring, CEILING - 200)
    await send_next(ordered.jobs, ordered.settings, BlockNames(), [ordered.scoring, "before"])
    ordered.used("before", 200)
    [run] = await ordered.sent()
    assert await run_flow_async(train, flow_run=run, parameters=run.parameters) is None
    assert ordered.jobs.status(ordered.first.job_id) == "queued", "another scoring pays for it"


async def test_a_training_that_alone_used_a_ceiling_is_not_sent_for_ever(ordered: Ordered):
    ordered.used(practice_key(ordered.first), CEILING)
    state = await made(ordered, {})
    assert state.is_completed()
    [row] = [row for row in ordered.jobs.latest() if row.job_id == ordered.first.job_id]
    assert row.status == "failed"
    assert row.note.startswith("it alone has used what a scoring may spend: max_tokens_total")
    assert len(await ordered.sent()) == 1, "nothing is left for the next one"


@pytest.mark.bubblewrap
async def test_a_training_that_a_ceiling_ends_stays_ordered(ordered: Ordered):
    state = await made(ordered, {})
    assert state.is_completed()
    assert ordered.jobs.status(ordered.first.job_id) == "running"
    assert ordered.first in ordered.jobs.pending()
