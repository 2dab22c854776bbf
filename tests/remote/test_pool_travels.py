"""What a pool's worker makes of what was sent to it, on a machine that shares storage alone.

The flows are called here as a worker's process calls them; `test_deploy_remote.py` has workers.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from support.attempt_specs import spec_of

from grindstone.attempt.travelling import pack
from grindstone.blocks import BlockNames
from grindstone.competency import TrainingJobs
from grindstone.flows.dispatch.attempt_slice import AttemptSlice
from grindstone.flows.slices import attempt_slice
from grindstone.flows.train import train
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.ledger.tables.autonomy import ComplianceRow
from grindstone.records import Episode
from grindstone.resources import bundled
from grindstone.runs.allowance import Allowance
from grindstone.runs.plan import kept_plan, open_workspace
from grindstone.settings import CompetencySettings, GrindSettings
from grindstone.tasks.dispatch import send_next

pytestmark = [
    *(pytest.mark.server, pytest.mark.bubblewrap, pytest.mark.slow),
    pytest.mark.timeout(120),
]

POLICY = b"name: strict\npacks: [house]\n"
PACK = b"""
name: house
version: "1"
rules:
  - {id: HANDS-OFF, title: Nothing is done, severity: critical, kind: forbidden_action}
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Go to a machine, which has nothing at first; the one before is lost."""

    def go(name: str) -> None:
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        monkeypatch.setenv("GRINDSTONE_CACHE_DIR", str(tmp_path / name))

    return go


@pytest.fixture
async def client(prefect_server: str, tmp_path: Path) -> AsyncIterator[PrefectClient]:
    """A server with a pool that nobody works for, to which trainings are sent."""
    async with get_client() as opened:
        pool = await opened.create_work_pool(WorkPoolCreate(name=tmp_path.name, type="process"))
        await opened.create_deployment(
            await opened.create_flow(train), "train", work_pool_name=pool.name
        )
        yield opened


@pytest.mark.parametrize("own", ["run", "job"])
async def test_a_training_needs_nothing_of_the_machine_that_ordered_it(
    address: str, client: PrefectClient, tmp_path: Path, machine: Callable[[str], None], own: str
):
    """Its tasks, the run's or the job's own, and the file of the agent that works at them."""
    here = tmp_path / "cache"  # of this machine alone
    shutil.copytree(bundled("examples/tasks") / "crlf-kit", here / "tasks" / "our-kit")
    (here / "idle.yaml").write_text("name: idle\ncommand: echo at leisure\n")
    settings = CompetencySettings(
        work_dir=address,
        agent_id="trainee",
        tasks_dir=here / "tasks" if own == "run" else None,
        model_id="rehearsal",
        native_profile="command",
        agent=str(here / "idle.yaml"),
        sandbox="bubblewrap",
        max_cycles=1,
        train="deployment",
        run_key=own,
    )
    await asyncio.to_thread(open_workspace, settings)
    jobs = TrainingJobs(settings.home, "trainee")
    ordered = jobs.enqueue("legacy-build", data_path=str(here / "tasks") if own == "job" else "")
    assert ordered is not None
    await send_next(jobs, settings, BlockNames(), [])
    deployment = await client.read_deployment_by_name("train/train")
    ordered_of = FlowRunFilterDeploymentId(any_=[deployment.id])
    runs = await client.read_flow_runs(flow_run_filter=FlowRunFilter(deployment_id=ordered_of))
    [sent] = [run for run in runs if run.parameters["settings"]["work_dir"] == address]
    machine("worker")
    await train(**sent.parameters)
    machine("reader")
    home = Home.at(address)
    [job] = TrainingJobs(home, "trainee").latest()
    assert (job.status, job.before, job.after) == ("unhelpful", 0.0, 0.0), job.note
    plan = kept_plan(home, job.job_id)
    assert plan is not None
    assert [*plan.tasks] == ["our-kit"]
    assert "/tasks/sets/" in str(plan.settings["tasks_dir"]), "which means the same everywhere"
    rows = Ledger(home).rows(Episode, job.job_id)
    assert rows and all(row.profile.startswith("command idle ") for row in rows)


async def test_an_attempt_is_judged_where_it_is_made_by_the_policies_in_storage(
    address: str, prefect_server: str, machine: Callable[[str], None]
):
    settings = GrindSettings(
        work_dir=address, agent_id="watched", run_key="K", native_profile="oracle"
    )
    home = settings.home
    assert home.mirror is not None
    home.mirror.store.put("policies/strict.yaml", POLICY)
    home.mirror.store.put("constitution/house.yaml", PACK)
    spec = spec_of(settings)
    work = AttemptSlice(attempts=(spec,), allowance=Allowance(), address=pack(home, [spec]))
    machine("worker")
    await attempt_slice(work)
    machine("reader")
    [judged] = Ledger(Home.at(address)).rows(ComplianceRow, "K")
    assert (judged.agent_id, judged.pack, judged.score) == ("watched", "house", 0.0)
    assert [each.rule for each in judged.violations] == ["HANDS-OFF"]
