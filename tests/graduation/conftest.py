"""A home with a clock of its own, and an edge case's task."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from graduation_support import START, Clock, in_ledger, passing, promote_ada
from support.object_storage import Bucket, GoTo, machines_of

from grindstone.graduation import GraduationService
from grindstone.graduation.rules.policy import Policy


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service_at(tmp_path: Path, clock: Clock) -> Callable[..., GraduationService]:
    def make(*policies: Policy, **more: Any) -> GraduationService:
        return GraduationService(
            tmp_path / "home",
            policies=policies or None,
            clock=clock,
            **({"examiner": passing()} | more),
        )

    return make


@pytest.fixture
def edge_task(tmp_path: Path) -> Path:
    """A task folder as small as one may be."""
    folder = tmp_path / "tasks" / "quote-a-tractor"
    for name, text in {
        "instruction.md": "Quote a farm tractor for a farmer in Ontario into /root/quote.json.\n",
        "task.toml": 'version = "1.0"\n[metadata]\ncategory = "tax"\ndifficulty = "easy"\n',
        "environment/Dockerfile": "FROM debian:bookworm-slim\n",
        "tests/test.sh": "#!/bin/bash\necho 1 > /logs/verifier/reward.txt\n",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture
async def promoted(
    service_at: Callable[..., GraduationService], edge_task: Path, tmp_path: Path, clock: Clock
) -> GraduationService:
    """An agent at work for a day, promoted to INTERN by an exam and a person."""
    clock.now = START + timedelta(days=1)
    service = service_at(examiner=in_ledger(tmp_path / "home"))
    await promote_ada(service, edge_task)
    return service


@pytest.fixture
def home_at(s3: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GoTo:
    return machines_of(s3, tmp_path, monkeypatch)
