import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import docker
import pytest
from docker.errors import NotFound
from support.sandboxes import IMAGES

from grindstone.errors import GrindstoneError, InfrastructureError
from grindstone.sandbox import SandboxProvider, StartSpec, open_provider
from grindstone.sandbox.docker.engine import owner_of
from grindstone.sandbox.owner import run_labels, this_host

OWNER = """
import asyncio, sys
from grindstone.sandbox import StartSpec, open_provider

async def main():
    provider = await open_provider(sys.argv[1])
    sandbox = await provider.start(StartSpec(image=sys.argv[2], name="left", env={"X": "1"}))
    await sandbox.exec("sleep 1020.5 & setsid sleep 1020.5 &", timeout_s=10)
    where = next(
        getattr(sandbox, name) for name in ("container", "pod", "box") if hasattr(sandbox, name)
    )
    where = getattr(where, "folder", where)
    print(where, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_killed_owner_leaves_nothing_after_reaping(
    provider: SandboxProvider, request: pytest.FixtureRequest
) -> None:
    image = IMAGES[provider.kind]
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, provider.kind, image], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    where = await asyncio.to_thread(owner.stdout.readline)
    where = where.strip()
    assert where
    mine = await provider.start(StartSpec(image=image, name="mine"))
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    assert await provider.reap() >= 1
    if provider.kind == "docker":
        client = docker.from_env()
        with pytest.raises(NotFound):
            client.containers.get(where)
        client.close()
    elif provider.kind == "kubernetes":
        pods = request.getfixturevalue("pods")
        assert where not in await pods.pods()
        held = {each["spec"]["holderIdentity"] for each in (await pods.leases()).values()}
        assert f"{this_host()} {owner.pid}" not in held
    else:
        assert not Path(where).exists()
        assert where not in Path("/proc/mounts").read_text()
        assert _processes_in(where) == []
    assert (await mine.exec("echo alive", timeout_s=10)).output == "alive\n"
    await mine.close()


def _processes_in(where: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/mountinfo"):
        try:
            if where in path.read_text():
                found.append(path.parent.name)
        except OSError:
            continue
    return found


async def test_a_runs_sandboxes_are_removed_and_no_namesakes(
    provider: SandboxProvider, tmp_path: Path
) -> None:
    image = IMAGES[provider.kind]
    mine, namesake = (run_labels(tmp_path / home, "nightly") for home in ("mine", "other"))
    kept = await provider.start(StartSpec(image=image, name="kept", labels=namesake))
    gone = await provider.start(StartSpec(image=image, name="gone", labels=mine))
    # What tests beside this one left of processes they killed is swept with it.
    assert await provider.reap(labels=mine) >= 1
    with pytest.raises(InfrastructureError):
        await gone.exec("true", timeout_s=10)
    assert (await kept.exec("true", timeout_s=10)).exit_code == 0
    await kept.close()


@pytest.mark.bubblewrap
async def test_a_layer_another_process_is_making_is_let_be() -> None:
    layers = Path(os.environ["GRINDSTONE_CACHE_DIR"]) / "bubblewrap" / "layers"
    making = layers / ".making-half-made"
    making.mkdir(parents=True)
    provider = await open_provider("bubblewrap")
    with (layers / ".half-made.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        await provider.reap()
        assert making.exists()
    await provider.reap()  # whoever made it is gone
    assert not making.exists()


@pytest.mark.docker
async def test_many_may_reap_at_once() -> None:
    """Every run reaps as it starts: an engine prunes for one of them at a time."""
    providers = [await open_provider("docker") for _ in range(8)]
    for _ in range(5):
        await asyncio.gather(*(provider.reap() for provider in providers))
    await asyncio.gather(*(provider.close() for provider in providers))


@pytest.mark.docker
async def test_the_container_that_fills_the_runners_volume_has_an_owner() -> None:
    """It lives for a moment; a process killed within it leaves it to the next one's reaping."""
    client = docker.from_env()
    begun = int(time.time())
    provider = await open_provider("docker")
    sandbox = await provider.start(StartSpec(image="python:3.11-slim-bookworm", name="first"))
    await sandbox.close()
    made = list(
        client.events(
            since=begun,
            until=int(time.time()) + 1,
            decode=True,
            filters={"event": "create", "label": "dev.grindstone.runner"},
        )
    )
    assert made
    for event in made:
        assert owner_of(event["Actor"]["Attributes"]) is not None
    await provider.close()
    client.close()


@pytest.mark.docker
async def test_closing_removes_anonymous_volumes() -> None:
    from grindstone.digest import digest_tree
    from grindstone.sandbox import BuildSpec

    client = docker.from_env()
    provider = await open_provider("docker")
    context = Path(os.environ["GRINDSTONE_CACHE_DIR"]) / "volume" / "environment"
    context.mkdir(parents=True)
    (context / "Dockerfile").write_text("FROM python:3.11-slim-bookworm\nVOLUME /data\n")
    image = await provider.build(
        BuildSpec(context_dir=context, context_digest=digest_tree(context))
    )
    sandbox = await provider.start(StartSpec(image=image, name="volume"))
    mounts = client.containers.get(sandbox.container).attrs["Mounts"]  # type: ignore[attr-defined]
    anonymous = [mount["Name"] for mount in mounts if mount["Destination"] == "/data"]
    assert len(anonymous) == 1
    await sandbox.close()
    with pytest.raises(NotFound):
        client.volumes.get(anonymous[0])
    await provider.close()
    client.close()


async def test_no_engine_is_said_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    with pytest.raises(GrindstoneError, match=r"no sandbox on this machine: docker: .*try: "):
        await open_provider("docker")


@pytest.mark.bubblewrap
async def test_auto_takes_bubblewrap_where_no_engine_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    provider = await open_provider("auto")
    assert provider.kind == "bubblewrap"
    await provider.close()
