"""The volume that brings the runner into containers.

The runner is executed with every privilege when a sealed run begins, so the agent, who is
root in the container, must not be able to change it: it comes in a volume mounted read-only.
"""

import io
import tarfile

from docker.errors import NotFound
from filelock import FileLock

from grindstone.digest import SHORT, digest_files
from grindstone.resources import cache_dir
from grindstone.sandbox.docker.engine import LABEL, Engine, owner_labels
from grindstone.sandbox.remote import RUNNER, RUNNER_DIR
from grindstone.sandbox.runner import runner_binary


def runner_volume(engine: Engine, image: str) -> str:
    """Return the name of the volume that holds the runner, filling it when it is not whole.

    Args:
        engine: Where the volume is.
        image: Any image there; a container of it is created, not started.
    """
    content = runner_binary(engine.facts.architecture).read_bytes()
    name = f"grindstone-runner-{digest_files([('runner', content, True)])[:SHORT]}"
    api = engine.client.api
    lock = cache_dir() / "runner-volume.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        api.create_volume(name, labels={f"{LABEL}.runner": "1"})
        made = api.create_container(
            image,
            command=["true"],
            labels={f"{LABEL}.runner": "1", **owner_labels()},
            host_config=api.create_host_config(
                binds={name: {"bind": RUNNER_DIR, "mode": "rw,nocopy"}}, network_mode="none"
            ),
        )
        try:
            if _size(engine, made["Id"]) != len(content):
                api.put_archive(made["Id"], RUNNER_DIR, _archive(content))
        finally:
            api.remove_container(made["Id"], force=True)
    return name


def _size(engine: Engine, container: str) -> int | None:
    try:
        stream, stat = engine.client.api.get_archive(container, RUNNER)
    except NotFound:
        return None
    for _ in stream:
        pass
    return int(stat["size"])


def _archive(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        root = tarfile.TarInfo("root")
        root.type, root.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(root)
        runner = tarfile.TarInfo("runner")
        runner.size, runner.mode = len(content), 0o755
        tar.addfile(runner, io.BytesIO(content))
    return buffer.getvalue()
