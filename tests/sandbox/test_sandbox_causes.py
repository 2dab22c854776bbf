"""What each cause of failed infrastructure looks like when it really happens.

Those of the sandbox and of the Prefect server happen here. The others are made to happen where
their layer is tested; `SHOWN_IN` names the file that tells the cause of what was raised.
"""

import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from support.sandboxes import IMAGES
from support.sandboxes import provider as builder

from grindstone.digest import digest_tree
from grindstone.errors import Cause, InfrastructureError
from grindstone.flows.serving.server import start as start_server
from grindstone.sandbox import BuildSpec, SandboxProvider, StartSpec

__all__ = ["builder"]

TESTS = Path(__file__).parents[1]
SHOWN_IN = {
    Cause.INTERNAL: "base/test_boundary.py",
    Cause.RATE_LIMITED: "llm/test_llm_faults.py",
    Cause.OVERLOADED: "llm/test_llm_faults.py",
    Cause.MODEL_SERVER: "llm/test_llm_faults.py",
    Cause.MODEL_CONNECTION: "llm/test_llm_faults.py",
    Cause.MODEL_TRUNCATED: "llm/test_llm_faults.py",
    Cause.MODEL_REJECTED: "llm/test_llm_faults.py",
    Cause.VERIFIER_BROKEN: "benchmark/test_benchmark_grading.py",
    Cause.VERIFIER_TIMEOUT: "benchmark/test_benchmark_grading.py",
    Cause.JUDGE_UNUSABLE: "observe/test_observe_judge.py",
    Cause.LEDGER_IO: "ledger/test_ledger_store.py",
    Cause.AGENT_BROKEN: "proxy/test_proxy_agents.py",
    Cause.REMOTE_HOME: "remote/test_remote_home.py",
    Cause.WORKER_LOST: "flows/test_flow_sent_in_vain.py",
}


async def lost(provider: SandboxProvider, folder: Path) -> None:
    key = f"lost-{os.getpid()}-{provider.kind}"
    spec = StartSpec(image=IMAGES[provider.kind], name="lost", labels={"lost": key})
    sandbox = await provider.start(spec)
    await provider.reap(labels={"lost": key})
    await sandbox.exec("true", timeout_s=10)


async def unbuildable(provider: SandboxProvider, folder: Path) -> None:
    (folder / "Dockerfile").write_text("FROM python:3.11-slim-bookworm\nRUN exit 3\n")
    await provider.build(BuildSpec(context_dir=folder, context_digest=digest_tree(folder)))


async def never_built(provider: SandboxProvider, folder: Path) -> None:
    await provider.start(StartSpec(image="grindstone-nobody-built-this", name="never"))


async def unwritable(provider: SandboxProvider, folder: Path) -> None:
    sandbox = await provider.start(StartSpec(image=IMAGES[provider.kind], name="io"))
    try:
        await sandbox.write_files({"/proc/nothing/below": b""})
    finally:
        await sandbox.close()


HAPPENING: dict[Cause, Callable[[SandboxProvider, Path], Awaitable[None]]] = {
    Cause.CONTAINER_LOST: lost,
    Cause.SANDBOX_START: never_built,
    Cause.SANDBOX_IO: unwritable,
}


@pytest.mark.parametrize("cause", HAPPENING)
async def test_it_is_called_by_its_name(
    cause: Cause, provider: SandboxProvider, tmp_path: Path
) -> None:
    with pytest.raises(InfrastructureError) as caught:
        await HAPPENING[cause](provider, tmp_path)
    assert caught.value.cause is cause


async def test_a_failed_build_is_called_by_its_name(
    builder: SandboxProvider, tmp_path: Path
) -> None:
    with pytest.raises(InfrastructureError) as caught:
        await unbuildable(builder, tmp_path)
    assert caught.value.cause is Cause.IMAGE_BUILD


@pytest.mark.docker
async def test_an_engine_that_went_away(monkeypatch: pytest.MonkeyPatch) -> None:
    from grindstone.sandbox.docker.provider import DockerProvider

    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    with pytest.raises(InfrastructureError) as caught:
        await DockerProvider().start(StartSpec(image=IMAGES["docker"], name="nobody"))
    assert caught.value.cause is Cause.ENGINE_UNAVAILABLE


@pytest.mark.server
def test_a_server_whose_port_is_taken(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(InfrastructureError) as caught,
    ):
        start_server(tmp_path, port=taken.getsockname()[1], detached=False)
    assert caught.value.cause is Cause.PREFECT_SERVER


@pytest.mark.parametrize("cause", Cause)
def test_no_cause_is_left_out(cause: Cause) -> None:
    here = {*HAPPENING, Cause.IMAGE_BUILD, Cause.ENGINE_UNAVAILABLE, Cause.PREFECT_SERVER}
    assert (cause in here) != (cause in SHOWN_IN)
    if cause in SHOWN_IN:
        assert f"Cause.{cause.name}" in (TESTS / SHOWN_IN[cause]).read_text("utf-8")
