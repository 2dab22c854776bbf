"""Credentials that expire while a process works, and are renewed in the file of AWS's own tools."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from support.object_storage import Bucket, Spoiled, write_keys

from grindstone.errors import Cause, InfrastructureError
from grindstone.remote import aws_profile
from grindstone.remote.store import Store


@pytest.fixture
def storage(s3: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spoiled]:
    with Spoiled(s3, rate=0, seed=1) as made:
        for name, value in made.bucket.environment.items():
            monkeypatch.setenv(name, value)
        yield made


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
    with ThreadPoolExecutor() as asking:
        answers = [
            asking.submit(store.put, "second", b"2"),
            asking.submit(store.get, "first"),
            asking.submit(store.has, "first"),
            asking.submit(store.listed),
        ]
        time.sleep(3)
        assert not any(each.done() for each in answers), "new ones are waited for"
        write_keys(file, "NEW")
        said = [each.result(timeout=20) for each in answers]
    assert said[1:3] == [b"1", True]
    assert store.get("second") == b"2"


def test_what_has_expired_is_told_and_waited_for_once(
    storage: Spoiled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "fleet")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    write_keys(file, "OLD")
    storage.expired = ("OLD", 403)
    store = Store(f"{storage.bucket.url}/{tmp_path.name}", patience=timedelta(seconds=3))
    expected = f"credentials have expired, those of the profile fleet in {file}, and no new ones "
    with pytest.raises(InfrastructureError, match=expected) as told:
        store.put("first", b"1")
    assert told.value.cause is Cause.REMOTE_HOME
    began = time.monotonic()
    for _ in range(5):
        with pytest.raises(InfrastructureError, match=expected):
            store.put("first", b"1")
    assert time.monotonic() - began < 2
    write_keys(file, "NEW")
    time.sleep(1)
    store.put("first", b"1")


def test_those_of_the_environment_go_before_the_file(
    storage: Spoiled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "credentials"
    write_keys(file, "OLD")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "fleet")
    storage.expired = ("OLD", 403)
    store = Store(f"{storage.bucket.url}/{tmp_path.name}")
    store.put("first", b"1")
    storage.expired = ("somebody", 403)
    began = time.monotonic()
    with pytest.raises(InfrastructureError, match="expired, those of the environment, which a"):
        store.put("first", b"1")
    assert time.monotonic() - began < 10, "a process has these for good"
