"""What a worker's credentials allow, by a server that enforces the policy."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from support.object_storage import serving_s3
from support.remote_rows import egl_row, paid_call

from grindstone.errors import InfrastructureError, InputError
from grindstone.graduation.audit.chain import Chain
from grindstone.graduation.audit.event import EventDraft
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import EglRow
from grindstone.llm.journal import Journal
from grindstone.records import utc_now
from grindstone.remote.policy import worker_policy
from grindstone.remote.shared_record import SharedRecord
from grindstone.resources import bundled
from grindstone.runs.account import Account
from grindstone.runs.remote_lock import RemoteLock
from grindstone.workspace import Workspace, WorkspaceError

pytestmark = pytest.mark.slow

ADDRESS = "s3://kept/team"


@pytest.fixture(scope="module")
def as_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What a worker of the run r has in its environment; the home has an agent by then."""
    folder = tmp_path_factory.mktemp("iam")
    with serving_s3(folder) as bucket, pytest.MonkeyPatch.context() as patch:
        for name, value in bucket.environment.items():
            patch.setenv(name, value)
        patch.setenv("GRINDSTONE_CACHE_DIR", str(folder / "owner"))
        Workspace.create(Home.at(ADDRESS).workspace("ann"), bundled("seed_workspaces/skillbench"))
        iam = boto3.client("iam", endpoint_url=bucket.endpoint, region_name="us-east-1")
        iam.create_user(UserName="worker")
        policy = json.dumps(worker_policy(ADDRESS, "r"))
        iam.put_user_policy(UserName="worker", PolicyName="r", PolicyDocument=policy)
        key = iam.create_access_key(UserName="worker")["AccessKey"]
        # From here on every request is held against the policy of who signed it.
        wake = urllib.request.Request(
            f"{bucket.endpoint}/moto-api/reset-auth", b"0", {"content-type": "text/plain"}
        )
        urllib.request.urlopen(wake, timeout=10).close()
        yield {
            **bucket.environment,
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }


@pytest.fixture
def home(
    as_worker: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Home]:
    for name, value in as_worker.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GRINDSTONE_CACHE_DIR", str(tmp_path))
    yield Home.at(ADDRESS)


def test_a_worker_does_what_an_attempt_of_its_run_needs(home: Home):
    ledger, journal = Ledger(home), Journal(home.run("r").journal)
    ledger.append([egl_row(0)], run_key="r")
    assert ledger.rows(EglRow)
    journal.append(*paid_call("a"))
    assert [each.record.call_id for each in journal.entries()] == ["a"]
    assert home.mirror is not None
    home.mirror.write(home.run("r").attempt("e"), b"{}")
    SharedRecord(home.run("r").account, Account).change(lambda found: found or Account())
    # Removing it again is not shown: this server holds a removal against the bucket, not the name.
    assert Workspace.open(home.workspace("ann")).snapshot()


def test_a_worker_writes_no_audit_event(home: Home):
    event = EventDraft(kind="imported", agent_id="ann", by="a worker", at=utc_now())
    with pytest.raises(InfrastructureError, match=r"cannot write audit/000001\.json"):
        Chain(home).append(lambda events: event)
    assert not Chain(home).events()


def test_a_worker_writes_no_row_and_no_call_of_another_run(home: Home):
    row = egl_row(0).model_copy(update={"run_key": "other"})
    with pytest.raises(InfrastructureError, match=r"cannot write ledger/egl/run=other"):
        Ledger(home).append([row], run_key="other")
    assert not Ledger(home).rows(EglRow, "other")
    with pytest.raises(InfrastructureError, match="cannot write runs/other/journal"):
        Journal(home.run("other").journal).append(*paid_call("b"))


def test_a_worker_changes_no_workspace_and_drives_no_run(home: Home):
    workspace = Workspace.open(home.workspace("ann"))
    before = workspace.snapshot()
    with pytest.raises((InfrastructureError, WorkspaceError)), workspace.writing() as root:
        (root / "memory" / "note.md").write_text("slipped in")
        workspace.commit_evolution(None, "Slip in")
    assert home.mirror is not None
    with (
        pytest.raises(InfrastructureError, match="cannot write runs/r/lock"),
        RemoteLock(home.mirror, home.run("r").lock).hold(),
    ):
        pass
    with pytest.raises(InfrastructureError, match="cannot remove"):
        home.mirror.store.delete("agents/ann/workspace.bundle")
    assert home.mirror.store.get("agents/ann/workspace.bundle")
    assert before


def test_a_policy_is_for_s3_and_one_run():
    text = json.dumps(worker_policy("s3://bucket", "a b"))
    assert "arn:aws:s3:::bucket/ledger/*/run=a%20b/*" in text
    assert "audit" not in text
    with pytest.raises(InputError, match="is not in S3"):
        worker_policy("gs://bucket/x", "r")
