"""A home in object storage, whose agents are judged, promoted and demoted by whichever machine."""

import json
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from graduation_support import START, Clock, in_ledger, promote_ada, promotion, work
from support.object_storage import Bucket, GoTo, serving_s3
from typer.testing import CliRunner

from grindstone.flows.cli.app import app
from grindstone.graduation import GraduationService
from grindstone.graduation.audit.chain import Chain
from grindstone.graduation.audit.evidence_check import check_evidence
from grindstone.graduation.audit.signing import make_keys, sign_end
from grindstone.graduation.audit.verify import verify
from grindstone.graduation.decisions.edge_cases import case_ids, case_task, load_case
from grindstone.graduation.registry import open_desk
from grindstone.graduation.rules.levels import Level
from grindstone.home import Home
from grindstone.resources import bundled
from grindstone.settings import GraduationSettings, Profile

pytestmark = pytest.mark.slow

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with serving_s3(tmp_path_factory.mktemp("s3")) as bucket:
        yield bucket


async def test_what_one_machine_decides_another_finds_proven_and_may_undo(
    home_at: GoTo, tmp_path: Path, edge_task: Path, clock: Clock
):
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


def test_what_is_removed_there_holds_nowhere(home_at: GoTo):
    home = home_at("one")
    assert home.mirror is not None
    own = {
        "policies/own.yaml": b"name: own\npacks: [own]\n",
        "policies/more.yaml": b"name: more\nagents: [b]\npacks: [own]\n",
        "constitution/own.yaml": b"name: own\nversion: '1'\nrules:\n"
        b"  - {id: X, title: x, severity: minor, kind: forbidden_action}\n",
        "approvers.yaml": b"approvers: [{name: Grace}]\n",
    }
    for name, content in own.items():
        home.mirror.store.put(name, content)
    desk = open_desk(home)
    assert {policy.name for policy in desk.policies} == {"own", "more"}
    assert [*desk.packs] == ["own"]
    assert [each.name for each in desk.approvers.approvers] == ["Grace"]
    home.mirror.store.delete("policies/more.yaml")
    assert {policy.name for policy in open_desk(home).policies} == {"own"}
    for name in own.keys() - {"policies/more.yaml"}:
        home.mirror.store.delete(name)
    desk = open_desk(home)
    assert "default" in {policy.name for policy in desk.policies}
    assert "conduct" in desk.packs
    assert not desk.approvers.approvers


@pytest.mark.server
@pytest.mark.bubblewrap
@pytest.mark.timeout(240)
async def test_every_command_works_on_a_machine_that_has_nothing(
    home_at: GoTo, tmp_path: Path, edge_task: Path, prefect_server: str
):
    from grindstone.flows.exam import exam
    from grindstone.flows.graduate import graduate
    from grindstone.flows.review import review

    machines = count()

    def fresh() -> Home:
        return home_at(f"machine-{next(machines)}")

    def run(*words: str) -> str:
        done = RUNNER.invoke(app, [*words, "--work-dir", fresh().place])
        assert done.exit_code == 0, (done.output, done.exception)
        return done.stdout

    def settings(**more: object) -> GraduationSettings:
        given = {"agent_id": "ada", "agents": ["ada"], "native_profile": Profile.NOP, **more}
        return GraduationSettings.model_validate({"work_dir": fresh().place, **given})

    home = fresh()
    assert home.mirror is not None
    home.mirror.store.put("policies/own.yaml", b"name: own\nrehearsals: true\n")
    rows = [*map(work, range(12)), work(99, agent_id="bob", success=False)]
    history = tmp_path / "history.jsonl"
    history.write_text("\n".join(json.dumps(row, default=str) for row in rows))
    run("audit", "import", str(history), "--by", "Grace")
    run("exam", "add", "--episode", "ep-99", "--by", "Grace", "--task-dir", str(edge_task))
    assert "quote-a-tractor" in run("exam", "list")
    assert (await exam(settings())).passed
    assert (await review(settings())).decisions[0].action == "approval_due"
    run("audit", "answer", "--agent-id", "ada", "--to", "INTERN", "--by", "Linus")
    done = await graduate(settings(validated_by="Grace"))
    assert done.promoted
    assert done.event is not None
    assert done.event.by == "Linus and Grace"
    run("audit", "correct", "ep-3", *("--field", "rate", "--correction", "0", "--by", "Linus"))
    run("audit", "rate", "ep-4", "--stars", "2", "--by", "Linus")
    key = tmp_path / "key.pem"
    public = make_keys(key)
    run("audit", "sign", "--key", str(key))
    assert "all as counted" in run("audit", "verify", "--evidence", "--public-key", str(public))
    trail = json.loads(run("audit", "trail", "--agent-id", "ada", "--json"))
    assert trail["current_maturity"] == "INTERN"
    assert [each["by"] for each in trail["remarks"]["corrections"]] == ["Linus"]
    run("audit", "export", "--agent-id", "ada")
    bundle = run("audit", "bundle", str(done.event.sequence), "--key", str(key)).strip()
    assert "VALID" in run("audit", "verify", "--bundle", bundle, "--public-key", str(public))
    kept = {entry.name for entry in home.mirror.store.listed("reports")}
    assert "reports/graduation-ada.html" in kept
    assert {f"reports/{Path(bundle).name}/{path.name}" for path in Path(bundle).iterdir()} <= kept
    run("demote", *("--agent-id", "ada", "--to", "STUDENT", "--by", "Grace", "--reason", "early"))
    assert open_desk(fresh()).agent("ada").level is Level.STUDENT
