"""One S3 server for the tests of a process; each test has a prefix and a cache of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.object_storage import Bucket, GoTo, machines_of, serving_s3


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with serving_s3(tmp_path_factory.mktemp("s3")) as bucket:
        yield bucket


@pytest.fixture
def address(s3: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a home that is not there yet."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GRINDSTONE_CACHE_DIR", str(tmp_path / "cache"))
    return f"{s3.url}/homes/{tmp_path.name}"


@pytest.fixture
def home_at(s3: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GoTo:
    return machines_of(s3, tmp_path, monkeypatch)
