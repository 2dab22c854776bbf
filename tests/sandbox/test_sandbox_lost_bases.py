"""A base image that is not to be had is asked for twice, not once for each task of a collection."""

from pathlib import Path

import pytest

from grindstone.errors import Cause, InfrastructureError
from grindstone.sandbox.docker.bases import LostBases
from grindstone.sandbox.docker.build import build_image
from grindstone.sandbox.docker.engine import Engine
from grindstone.sandbox.protocol import BuildSpec

BASE = "registry.invalid/nosuch:1"


def context(folder: Path, base: str, number: int) -> BuildSpec:
    made = folder / f"task-{number}"
    made.mkdir()
    (made / "Dockerfile").write_text(f"FROM {base}\nRUN true {number}\n")
    return BuildSpec(context_dir=made, context_digest=f"lost{number}" * 8, timeout_s=60)


@pytest.mark.docker
@pytest.mark.timeout(120)
def test_the_third_task_on_it_fails_at_once_with_its_cause(tmp_path: Path):
    engine, told = Engine(), []
    for number in range(3):
        with pytest.raises(InfrastructureError) as failed:
            build_image(engine, context(tmp_path, BASE, number), f"lost-{number}:1")
        assert failed.value.cause is Cause.IMAGE_BUILD
        told.append(str(failed.value))
    engine.close()
    assert ["not tried" in each for each in told] == [False, False, True]
    assert "no such host" in told[2]
    assert "as in 2 builds before" in told[2]


@pytest.mark.parametrize(
    ("reason", "lasts"),
    [
        ("python:3.99: failed to resolve source metadata: not found", True),
        ("python:3.99: dial tcp 1.2.3.4:443: i/o timeout", False),
        ("python:3.99: unexpected status 503 Service Unavailable", False),
        ("process /bin/sh -c cp a b did not complete: a: not found", False),
    ],
)
def test_what_may_pass_is_tried_again(tmp_path: Path, reason: str, lasts: bool):
    bases = LostBases()
    made = context(tmp_path, "python:3.99", 1).context_dir
    other = context(tmp_path, "python:3.12", 2).context_dir
    for _ in range(2):
        assert not bases.why(made)
        bases.note(made, reason)
    assert bool(bases.why(made)) is lasts
    assert not bases.why(other)


RESOLVED = "failed to resolve source metadata for docker.io"


@pytest.mark.parametrize(
    ("dockerfile", "reason", "lost"),
    [
        ("FROM node", f"node: {RESOLVED}/library/node:latest: not found", True),
        ("FROM docker.io/library/node:9", f"node:9: {RESOLVED}/library/node:9: not found", True),
        (
            "FROM a/node@sha256:01",
            f"a/node@sha256:01: {RESOLVED}/a/node@sha256:01: not found",
            True,
        ),
        ("FROM node AS node", f"node: {RESOLVED}/library/node:latest: not found", True),
        ("FROM gone", "pull access denied for gone, repository does not exist", True),
        ("FROM No:1", 'failed to parse stage name "No:1": invalid reference format', True),
        ("FROM node", f"node-gone: {RESOLVED}/library/node-gone:latest: not found", False),
        ("FROM node", f"other/node:1: {RESOLVED}/other/node:1: not found", False),
        ("FROM node:2", f"node:20: {RESOLVED}/library/node:20: not found", False),
        ("FROM node", 'failed to calculate checksum of ref x::y: "/node": not found', False),
        ("FROM node", 'process "node x; echo not found" did not complete successfully: 1', False),
        ("FROM node AS build\nFROM build", "cannot build: other:1: not found", False),
    ],
)
def test_a_base_is_told_by_its_whole_name(tmp_path: Path, dockerfile: str, reason: str, lost: bool):
    (tmp_path / "Dockerfile").write_text(dockerfile)
    bases = LostBases()
    for _ in range(2):
        bases.note(tmp_path, reason)
    assert bool(bases.why(tmp_path)) is lost
