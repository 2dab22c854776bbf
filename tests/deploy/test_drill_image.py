"""The image of deploy/Dockerfile, built: its size, its user, and runs of a Docker pool in it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from support.object_storage import serving_s3
from support.pool_worker import work_once

from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.records import Episode, Outcome

ROOT = Path(__file__).parents[2]
IMAGE = "grindstone-drill"
MOST_BYTES = 1_400_000_000

pytestmark = [
    *(pytest.mark.drill, pytest.mark.docker, pytest.mark.registry, pytest.mark.slow),
    pytest.mark.timeout(1800),
]

IN_IMAGE = "/home/grindstone/.prefect"

IN_A_POD = (
    *("--network", "none", "--cap-drop", "ALL", "--cap-add", "SETUID", "--cap-add", "SETGID"),
    *("--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined"),
)
"""Docker's words for what deploy/kubernetes/worker.yaml asks for."""


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    command = ["docker", "build", "--quiet", "--file", "deploy/Dockerfile", "--tag", IMAGE, "."]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    yield IMAGE
    subprocess.run(["docker", "image", "rm", "--force", IMAGE], capture_output=True, check=False)


def told(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def test_it_is_small_and_run_by_nobody_in_particular(image: str) -> None:
    [found] = json.loads(told("docker", "image", "inspect", image))
    assert found["Size"] < MOST_BYTES
    assert found["Config"]["User"] == "10001:10001"
    strict = ("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "none")
    version = told("docker", "run", "--rm", *strict, image, "grindstone", "--version")
    assert version.startswith("grindstone ")


def test_bubblewrap_works_in_it_as_the_workers_manifest_has_it(image: str) -> None:
    command = ("docker", "run", "--rm", *IN_A_POD, image, "grindstone", "doctor", "--json")
    tools = {each["name"]: each for each in json.loads(told(*command))["tools"]}
    assert tools["bubblewrap"]["works"], tools["bubblewrap"]
    assert tools["bubblewrap"]["detail"] == "rootless"


@pytest.mark.server
def test_a_run_of_a_docker_pool_runs_in_it(
    image: str, prefect_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uv = str(Path(sys.executable).with_name("uv"))
    told(uv, "venv", "--quiet", "--python", sys.executable, str(tmp_path / "worker"))
    pinned = ("--constraint", str(ROOT / "requirements.txt"))
    python = str(tmp_path / "worker" / "bin" / "python")
    told(uv, "pip", "install", "--quiet", "--python", python, *pinned, "prefect-docker>=0.7,<0.8")
    template = json.loads((ROOT / "deploy" / "pools" / "docker.json").read_text())
    template["job_configuration"]["network_mode"] = "host"  # the server is at this machine's
    group = str(Path("/var/run/docker.sock").stat().st_gid)
    with serving_s3(tmp_path) as bucket, get_client(sync_client=True) as client:
        client.create_work_pool(
            WorkPoolCreate(name="containers", type="docker", base_job_template=template)
        )
        deployment = client.create_deployment(
            flow_id=client.create_flow_from_name("grind"),
            name="grind-in-a-container",
            entrypoint="grindstone.flows.grind.grind",
            work_pool_name="containers",
            job_variables={
                **{"image": image, "engine_group": group, "working_dir": bucket.url},
                "env": {
                    **bucket.environment,
                    **{"GRINDSTONE_WORK_DIR": bucket.url, "PREFECT_HOME": IN_IMAGE},
                    "PREFECT_LOCAL_STORAGE_PATH": f"{IN_IMAGE}/storage",  # not the tests' own
                },
            },
            pull_steps=[],
        )
        settings = {
            **{"work_dir": bucket.url, "run_key": "contained", "sandbox": "docker"},
            **{"task_ids": ["plain-inventory"], "max_cycles": 1, "native_profile": "oracle"},
            **{"evolve_skills": False, "task_skill_mode": "off", "success_mode": "off"},
        }
        run = client.create_flow_run_from_deployment(deployment, parameters={"settings": settings})
        said = work_once("containers", prefect_server, timeout_s=600, python=python)
        state = client.read_flow_run(run.id).state
        assert state is not None
        assert state.is_completed(), said
        monkeypatch.setenv("GRINDSTONE_CACHE_DIR", str(tmp_path / "cache"))
        for name, value in bucket.environment.items():
            monkeypatch.setenv(name, value)
        [episode] = Ledger(Home.at(bucket.url)).rows(Episode, "contained")
        assert episode.outcome is Outcome.PASSED, (episode, said)
