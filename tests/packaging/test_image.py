"""The image of deploy/Dockerfile, built from the checkout: what is in it, what it needs."""

import hashlib
import json
import platform
import re
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
IMAGE = "grindstone-built-by-tests"
KUBERNETES = ROOT / "docs" / "kubernetes.md"

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(1200)]

INDEXES = ("--build-arg", "PIP_INDEX_URL", "--build-arg", "UV_DEFAULT_INDEX")
"""Where this machine has its packages from, where it says so."""

IN_IMAGE = "/home/grindstone/.prefect"
STRICT = ("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "none")
NOTHING_BUT_HOME = ("--read-only", "--tmpfs", "/home/grindstone:uid=10001,gid=10001,mode=0700")

IN_A_POD = (
    *("--network", "none", "--cap-drop", "ALL", "--cap-add", "SETUID", "--cap-add", "SETGID"),
    *("--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined"),
)
"""Docker's words for what deploy/kubernetes/worker.yaml asks for."""

DIGESTS = """
import hashlib, json, grindstone
from pathlib import Path
root = Path(grindstone.__file__).parent
files = (path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc")
print(json.dumps({str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
                  for path in files}))
"""
RUNNERS = """
import json, platform
from grindstone.sandbox.runner import runner_binary
paths = {name: runner_binary(name) for name in ("amd64", "arm64", platform.machine())}
print(json.dumps({name: {"path": str(path), "machine": path.read_bytes()[18]}
                  for name, path in paths.items()}))
"""
UI = """
import asyncio, httpx, json, re
from prefect.server.api.server import create_ui_app
async def main():
    transport = httpx.ASGITransport(create_ui_app(ephemeral=False))
    async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
        page = (await client.get("/")).raise_for_status().text
        parts = re.findall(r'(?:src|href)="(/[^"]+[.](?:js|css))"', page)
        found = {part: (await client.get(part)).raise_for_status() for part in parts}
        print(json.dumps({part: each.headers["content-type"] for part, each in found.items()}))
asyncio.run(main())
"""
"""Has the code of a server lay out the UI and answer with it, without starting a whole one."""


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    command = ["docker", "build", "--quiet", *INDEXES, "--file", "deploy/Dockerfile"]
    done = subprocess.run(
        [*command, "--tag", IMAGE, "."], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    yield IMAGE
    subprocess.run(["docker", "image", "rm", "--force", IMAGE], capture_output=True, check=False)


def told(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope="module")
def container(image: str) -> Iterator[str]:
    """One in which nothing but the home can be written."""
    started = ("docker", "run", "--detach", *STRICT, *NOTHING_BUT_HOME, image)
    running = told(*started, "sleep", "infinity").strip()
    try:
        yield running
    finally:
        told("docker", "rm", "--force", running)


def test_its_size_is_what_the_documentation_says(image: str) -> None:
    [found] = json.loads(told("docker", "image", "inspect", image))
    [(whole, base)] = re.findall(r"([\d.]+) GB on a base of\s+([\d.]+)", KUBERNETES.read_text())
    [below] = json.loads(told("docker", "image", "inspect", "python:3.11-slim-bookworm"))
    own = (found["Size"] - below["Size"]) / 1e9
    assert own == pytest.approx(float(whole) - float(base), abs=0.05), f"{own:.3f} GB of its own"


def test_it_is_run_by_nobody_in_particular_and_writes_nothing_but_its_home(container: str) -> None:
    assert told("docker", "exec", container, "sh", "-c", "id -u; id -g").split() == [
        "10001",
        "10001",
    ]
    assert told("docker", "exec", container, "grindstone", "--version").startswith("grindstone ")
    outside = ["docker", "exec", container, "touch", "/opt/grindstone/written"]
    refused = subprocess.run(outside, capture_output=True, text=True, check=False)
    assert "Read-only file system" in refused.stderr


def test_a_server_in_it_shows_its_ui(container: str) -> None:
    parts = json.loads(told("docker", "exec", container, "python", "-c", UI))
    kinds = {kind.partition(";")[0] for kind in parts.values()}
    assert kinds == {"text/javascript", "text/css"}, parts
    laid_out = told("docker", "exec", container, "find", "/home/grindstone/ui", "-name", "*.js")
    assert len(laid_out.splitlines()) >= 10


def test_each_file_of_the_package_is_in_it_as_in_the_checkout(container: str) -> None:
    """The viewer's pages, prompts, templates, and the runner for each processor."""
    found = json.loads(told("docker", "exec", container, "python", "-c", DIGESTS))
    folder = ROOT / "grindstone"
    expected = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in _files(folder)
    }
    assert {"view/assets/index.html", "sandbox/runner/runner-aarch64"} <= expected.keys()
    bundled = {name for name in found if name.startswith("_bundled/")}
    assert {name: found[name] for name in found.keys() - bundled} == expected
    assert "_bundled/prefect.yaml" in bundled


def _files(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder, also through links (Python 3.11's `rglob` follows none)."""
    for path in sorted(folder.iterdir()):
        if path.name == "__pycache__" or path.name.endswith("_cache"):
            continue
        if path.is_dir():
            yield from _files(path)
        else:
            yield path


def test_it_brings_the_runner_of_each_processor_and_takes_its_own(container: str) -> None:
    runners = json.loads(told("docker", "exec", container, "python", "-c", RUNNERS))
    assert runners["amd64"]["machine"] == 62  # as ELF's header has them
    assert runners["arm64"]["machine"] == 183
    own = runners[platform.machine()]["path"]
    source = (ROOT / "grindstone" / "sandbox" / "runner" / "runner.c").read_bytes()
    assert hashlib.sha256(source).hexdigest() in told("docker", "exec", container, own, "source")


def test_bubblewrap_works_in_it_as_the_workers_manifest_has_it(image: str) -> None:
    command = ("docker", "run", "--rm", *IN_A_POD, image, "grindstone", "doctor", "--json")
    tools = {each["name"]: each for each in json.loads(told(*command))["tools"]}
    assert tools["bubblewrap"]["works"], tools["bubblewrap"]
    assert tools["bubblewrap"]["detail"] == "rootless"


def test_the_users_that_bubblewrap_maps_are_among_those_of_a_pod(image: str) -> None:
    """A pod that has users of its own has these alone, by the kubelet's own default."""
    for name in ("/etc/subuid", "/etc/subgid"):
        of_pod = told("docker", "run", "--rm", *STRICT, image, "cat", name)
        [(first, count)] = re.findall(r"^grindstone:(\d+):(\d+)$", of_pod, re.MULTILINE)
        assert int(first) > 10001
        assert int(first) + int(count) <= 65536


@pytest.mark.drill
@pytest.mark.registry
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
