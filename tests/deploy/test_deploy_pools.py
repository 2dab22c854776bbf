"""The base job templates of deploy/pools: a server takes them, what a run may set is bounded."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import PrefectHTTPStatusError
from prefect.utilities.templating import find_placeholders
from support.pool_worker import work_once

from grindstone.flows.worker.work_pool import closed_template, in_fresh_folders

POOLS = Path(__file__).parents[2] / "deploy" / "pools"
KINDS = ("process", "docker", "kubernetes")
ADDRESS = "s3://bucket/team"
"""What a deployment of a home in storage names as the folder of its runs."""

WRONG = {
    "process": {"stream_output": "loudly"},
    "docker": {"engine_group": 5},
    "kubernetes": {"finished_job_ttl": "soon"},
}
NO_VARIABLES = {"command", "privileged", "volumes", "network_mode", "cluster_config"}


def template(kind: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((POOLS / f"{kind}.json").read_text())
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_sets_nothing_that_reaches_beyond_it(kind: str) -> None:
    found = template(kind)
    properties = found["variables"]["properties"]
    assert not NO_VARIABLES & properties.keys()
    asked = {place.name for place in find_placeholders(found["job_configuration"])}
    assert asked <= properties.keys(), "a placeholder without a variable"


def test_the_process_template_is_what_the_command_prints() -> None:
    assert template("process") == in_fresh_folders(closed_template())


@pytest.fixture(scope="module")
def client(prefect_server: str):
    with get_client(sync_client=True) as opened:
        yield opened


def deployed(client: SyncPrefectClient, kind: str, variables: dict[str, Any]) -> UUID:
    flow = client.create_flow_from_name("review")
    return client.create_deployment(
        flow_id=flow,
        name=f"review-{kind}",
        entrypoint="grindstone.flows.review.review",
        work_pool_name=f"{kind}-pool",
        job_variables={"working_dir": ADDRESS, **variables},
        pull_steps=[],
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_takes_it_and_holds_deployments_against_it(
    kind: str, client: SyncPrefectClient
) -> None:
    found = template(kind)
    client.create_work_pool(WorkPoolCreate(name=f"{kind}-pool", type=kind, base_job_template=found))
    assert client.read_work_pool(f"{kind}-pool").base_job_template == found
    with pytest.raises(PrefectHTTPStatusError) as refused:
        deployed(client, kind, WRONG[kind])
    assert next(iter(WRONG[kind])) in refused.value.response.text
    assert deployed(client, kind, {})


@pytest.mark.slow
def test_a_run_of_a_home_in_storage_runs_in_a_folder_of_its_own(
    client: SyncPrefectClient, prefect_server: str, tmp_path: Path
) -> None:
    name = "process-pool"
    if name not in [pool.name for pool in client.read_work_pools()]:
        client.create_work_pool(
            WorkPoolCreate(name=name, type="process", base_job_template=template("process"))
        )
    parameters = {"settings": {"work_dir": str(tmp_path / "home")}}
    run = client.create_flow_run_from_deployment(
        deployed(client, "process", {}), parameters=parameters
    )
    said = work_once(name, prefect_server, timeout_s=100)
    state = client.read_flow_run(run.id).state
    assert state is not None
    assert state.is_completed(), said
