"""Fixtures of the tests that open sandboxes, on every engine there is; and whose are left."""

import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from pathlib import Path

import pytest

from grindstone.resources import cache_dir
from grindstone.sandbox import Limits, Sandbox, SandboxProvider, StartSpec, open_provider

IMAGES = {
    "docker": "python:3.11-slim-bookworm",
    "bubblewrap": "host",
    "kubernetes": os.environ.get("GRINDSTONE_TEST_IMAGE")
    or f"registry.test/python@sha256:{'0' * 64}",
}

Start = Callable[..., Awaitable[Sandbox]]

__all__ = ["IMAGES", "Start", "cache", "provider", "sandbox", "sandboxes_of", "start"]


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder of the tests' own; the user's is left alone."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("GRINDSTONE_CACHE_DIR", str(folder))
        yield folder


@pytest.fixture(
    params=[
        pytest.param("docker", marks=pytest.mark.docker),
        pytest.param("bubblewrap", marks=pytest.mark.bubblewrap),
    ]
)
async def provider(request: pytest.FixtureRequest) -> AsyncIterator[SandboxProvider]:
    opened = await open_provider(request.param)
    yield opened
    await opened.close()


@pytest.fixture
def start(provider: SandboxProvider) -> Start:
    async def begin(**wanted: object) -> Sandbox:
        wanted.setdefault("limits", Limits(memory_mb=512, pids=128))
        return await provider.start(
            StartSpec(image=IMAGES[provider.kind], name="test", **wanted)  # type: ignore[arg-type]
        )

    return begin


@pytest.fixture
async def sandbox(start: Start) -> AsyncIterator[Sandbox]:
    opened = await start()
    yield opened
    await opened.close()


def sandboxes_of(pids: Iterable[int]) -> list[str]:
    """Return the folders of the sandboxes some processes started, and what still runs in one."""
    boxes = cache_dir() / "bubblewrap" / "boxes"
    names = [f"{boxes}/{pid}-" for pid in pids]
    found = [str(path) for path in boxes.glob("*") if str(path).startswith(tuple(names))]
    for path in Path("/proc").glob("[0-9]*/mountinfo"):
        with contextlib.suppress(OSError):
            mounts = path.read_text()
            found += [f"{path.parent}: {name}" for name in names if name in mounts]
    return found
