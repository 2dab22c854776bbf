"""A home in object storage, whose agents are promoted on one machine and demoted on another."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from graduation_support import START, Clock, in_ledger, promote_ada, promotion
from support.object_storage import Bucket, serving_s3

from grindstone.graduation import GraduationService
from grindstone.graduation.audit.chain import Chain
from grindstone.graduation.audit.evidence_check import check_evidence
from grindstone.graduation.audit.signing import make_keys, sign_end
from grindstone.graduation.audit.verify import verify
from grindstone.graduation.decisions.edge_cases import case_ids, case_task, load_case
from grindstone.graduation.rules.levels import Level
from grindstone.home import Home
from grindstone.resources import bundled

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with serving_s3(tmp_path_factory.mktemp("s3")) as bucket:
        yield bucket


async def test_what_one_machine_decides_another_finds_proven_and_may_undo(
    s3: Bucket, tmp_path: Path, edge_task: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)

    def home_at(machine: str) -> Home:
        monkeypatch.setenv("GRINDSTONE_CACHE_DIR", str(tmp_path / machine))
        return Home.at(f"{s3.url}/graduation")

    clock.now = START + timedelta(days=1)
    (edge_task / "tests/test.sh").chmod(0o755)  # which storage would not keep
    one = home_at("one")
    assert one.mirror is not None
    text = (bundled("examples/policies") / "default.yaml").read_bytes()
    one.mirror.store.put("policies/own.yaml", text.replace(b"name: default", b"name: own"))
    service = GraduationService(one, clock=clock, examiner=in_ledger(one.root))
    assert [policy.name for policy in service.registry.policies] == ["own"]
    await promote_ada(service, edge_task)
    key = tmp_path / "key"
    public = make_keys(key)
    assert sign_end(service.registry.chain, key) is not None

    other = home_at("other")
    there = GraduationService(other, clock=clock)
    assert there.registry.agent("ada").level is Level.INTERN
    assert promotion(there) == promotion(service)
    found = check_evidence(there.registry, there.registry.chain.events())
    assert found.intact
    assert found.promotions
    assert verify(Chain(home_at("auditor")), public_key=public).intact
    [case_id] = case_ids(other)
    task = case_task(other, load_case(other, case_id))
    assert task.path.is_relative_to(other.root)
    assert (task.path / "tests/test.sh").stat().st_mode & 0o100
    await there.demote_agent("ada", "STUDENT", "Grace", "It was too early.")
    assert service.registry.agent("ada").level is Level.STUDENT
