"""Credentials that expire while a process works, and are renewed in the file of AWS's own tools."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.object_storage import Bucket, Spoiled

from grindstone.errors import Cause, InfrastructureError
from grindstone.remote import aws_profile
from grindstone.remote.store import Store


@pytest.fixture
def storage(s3: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spoiled]:
    with Spoiled(s3, rate=0, seed=1) as made:
        for name, value in made.bucket.environment.items():
            monkeypatch.setenv(name, value)
        yield made


def write_keys(path: Path, key: str) -> None:
    path.write_text(
        f"[fleet]\naws_access_key_id = {key}\naws_secret_access_key = s%\n"
        f"aws_session_token = of-{key}\n"
    )


@pytest.mark.parametrize("status", [400, 403])
def test_new_ones_are_taken_while_a_process_goes_on(
    storage: Spoiled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
):
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "fleet")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setattr(aws_profile, "READ_S", 0.5)
    write_keys(file, "OLD")
    store = Store(f"{storage.bucket.url}/{tmp_path.name}")
    store.put("first", b"1")
    storage.expired = ("OLD", status)
    time.sleep(1)
    with pytest.raises(InfrastructureError, match=r"its credentials have expired") as told:
        store.put("second", b"2")
    assert told.value.cause is Cause.REMOTE_HOME
    write_keys(file, "NEW")
    time.sleep(1)
    store.put("second", b"2")
    assert [store.get(name) for name in ("first", "second")] == [b"1", b"2"]


def test_those_of_the_environment_go_before_the_file(
    storage: Spoiled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "credentials"
    write_keys(file, "OLD")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "fleet")
    storage.expired = ("OLD", 403)
    Store(f"{storage.bucket.url}/{tmp_path.name}").put("first", b"1")
