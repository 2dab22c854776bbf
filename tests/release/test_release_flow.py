"""A release as a flow: real sandboxes, real git, a real server, and a canary for sealed tasks."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.teaching import evolve, said_again, taught
from support.wiretap import Wiretap

from grindstone.attempt.sealing import releasable
from grindstone.errors import RefusedError
from grindstone.flows.adapt import adapt
from grindstone.flows.release import release
from grindstone.graduation.audit.signing import make_keys
from grindstone.ledger import Ledger
from grindstone.ledger.tables.releases import ExposureRow, TaskPartRow
from grindstone.records import Episode, Purpose
from grindstone.report.certificate import Certificate
from grindstone.resources import bundled
from grindstone.runs.plan import choose_tasks
from grindstone.settings import AdaptiveSettings, ReleaseSettings
from grindstone.workspace import Workspace

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(400)]

TASKS = ["crlf-kit", "deleted-branch", "dropped-stash"]  # none is solved without its skill
ALPHA = 0.45  # so few tasks say nothing at less
PAGE = Path(__file__).parents[2] / "docs" / "campaign.md"


def settings(home: Path, **more: object) -> ReleaseSettings:
    given = {"task_ids": TASKS, "model_id": "rehearsal", "native_profile": "strands"}
    few = {"alpha": ALPHA, "trials": 1, "max_workers": 4, "baseline": "seed"}
    return ReleaseSettings.model_validate({"work_dir": home} | given | few | more)


def workspace_of(home: Path) -> Workspace:
    folder = home / "agents" / "skillbench" / "workspace"
    return Workspace.create(folder, bundled("seed_workspaces/terminal"))


async def test_a_gain_is_announced_once_certified_and_never_paid_for_twice(
    tmp_path: Path, prefect_server: str
):
    workspace, ledger = workspace_of(tmp_path), Ledger(tmp_path)
    evolve(workspace, taught)
    key = tmp_path / "key.pem"
    make_keys(key)
    stopped = await release(settings(tmp_path, signing_key=key, max_tokens_total=1))
    assert stopped.row is None, "a ceiling ended it"
    done = await release(settings(tmp_path, signing_key=key))
    assert done.folder == stopped.folder, "it went on, and was booked once"
    assert done.row is not None
    assert (done.row.claimed, done.row.level, done.row.nth) == (True, ALPHA / 2, 1), done.row
    assert (done.row.wins, done.row.p_better) == (3, 0.125)
    made = ledger.rows(Episode)
    assert {each.purpose for each in made} == {Purpose.RELEASE}
    assert len(made) == 2 * len(TASKS)

    again = await release(settings(tmp_path, task_ids=TASKS[::-1]))
    assert (again.repeated, again.row) == (True, done.row)
    unnamed = await release(settings(tmp_path, baseline=None))
    assert (unnamed.repeated, unnamed.row) == (True, done.row), "there is nothing new to release"
    assert len(ledger.rows(Episode)) == len(made)
    [booked] = ledger.rows(ExposureRow)
    assert booked.level == ALPHA / 2

    found = Certificate.model_validate_json((done.folder / "certificate.json").read_text())
    assert found.claim.startswith("Gain: +")
    assert found.rehearsal
    assert len(found.pairs) == len(TASKS)
    assert _recomputed(done.folder / "certificate.json") == pytest.approx(found.p_value)
    _check_signature(found)
    assert "Gain" in (done.folder / "certificate.md").read_text()

    evolve(workspace, said_again)
    with pytest.raises(RefusedError, match=r"looked at 1 time before.*3 new clusters"):
        await release(settings(tmp_path, baseline=None))
    assert len(ledger.rows(Episode)) == len(made)
    assert ledger.rows(ExposureRow) == [booked]


async def test_no_request_names_a_sealed_task_before_its_release(
    tmp_path: Path, tap: Wiretap, prefect_server: str
):
    learning = AdaptiveSettings.model_validate(
        {
            "work_dir": tmp_path,
            "task_ids": [*TASKS, "visitor-report", "ledger-package", "lost-commit"],
            "model_id": "rehearsal",
            "sealed_ratio": 0.5,
            "holdout_ratio": 0.2,
            "max_cycles": 1,
            "max_workers": 4,
            "run_key": "search",
        }
    )
    done = await adapt(learning)
    parts = {row.task_id: row.part for row in Ledger(tmp_path).rows(TaskPartRow, "search")}
    sealed = sorted(task_id for task_id, part in parts.items() if part == "sealed")
    assert len(sealed) >= 3
    texts = [_text(task_id) for task_id in sealed]
    assert tap.bodies
    asked = json.dumps(tap.bodies)
    report = (done.folder / "report.md").read_text() + (done.folder / "report.json").read_text()
    for canary in (*sealed, *texts):
        assert json.dumps(canary)[1:-1] not in asked, canary
        assert canary not in report
    tried = {each.task_id for each in Ledger(tmp_path).rows(Episode)}
    assert tried
    assert not tried & set(sealed)
    left = releasable(Ledger(tmp_path), choose_tasks(learning)[0])
    assert sorted(task.task_id for task in left) == sealed, "a release looks at these alone"


def _text(task_id: str) -> str:
    """Return the longest line of a task's instruction: one that no other task has."""
    lines = (bundled("examples/tasks") / task_id / "instruction.md").read_text().splitlines()
    return max(lines, key=len)


def _recomputed(certificate: Path) -> float:
    """Run the lines of the documentation, in a Python that cannot see Grindstone."""
    [code] = re.findall(r"```python\n(.+?)```", PAGE.read_text("utf-8"), re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        cwd=certificate.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def _check_signature(found: Certificate) -> None:
    from base64 import b64decode

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    key = Ed25519PublicKey.from_public_bytes(b64decode(found.public_key))
    key.verify(b64decode(found.signature), found.message())
