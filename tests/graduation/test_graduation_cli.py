"""The audit commands: exit codes, JSON, files."""

import json
from pathlib import Path

import pytest
from graduation_support import fill, work
from typer.testing import CliRunner

from grindstone.errors import InputError, RefusedError
from grindstone.flows.cli.app import app
from grindstone.graduation import GraduationService

RUNNER = CliRunner()


@pytest.fixture
async def home(tmp_path: Path) -> Path:
    service = GraduationService(tmp_path)
    await fill(service, 3)
    await service.enrol_agent("ada", "INTERN", by="Grace", second="Linus", reason="came so")
    await service.enrol_agent("bob", "STUDENT", by="Grace", reason="a test")
    return tmp_path


def run(*arguments: str, code: int = 0) -> str:
    done = RUNNER.invoke(app, list(arguments))
    assert done.exit_code == code, done.output
    return done.stdout


def test_verify_says_yes_and_no(home: Path) -> None:
    found = json.loads(run("audit", "verify", "--work-dir", str(home), "--json"))
    assert (found["intact"], found["events"]) == (True, 2)
    anchor = f"{found['head']['sequence']}:{found['head']['digest']}"
    run("audit", "verify", "--work-dir", str(home), "--anchor", anchor)
    path = home / "audit" / "000001.json"
    path.write_bytes(path.read_bytes().replace(b"Grace", b"Alice"))
    assert "NOT INTACT at 000001.json" in run("audit", "verify", "--work-dir", str(home), code=1)


@pytest.mark.slow
def test_trail_export_and_sign(home: Path, tmp_path: Path) -> None:
    where = ("--work-dir", str(home), "--agent-id", "ada")
    assert json.loads(run("audit", "trail", *where, "--json"))["total_episodes"] == 3
    for form in ("json", "md", "html"):
        output = tmp_path / f"out.{form}"
        run("audit", "export", *where, "--format", form, "--output", str(output))
        assert "ada" in output.read_text("utf-8")
    key = tmp_path / "keys" / "k.pem"
    run("audit", "keys", str(key))
    run("audit", "sign", "--key", str(key), "--work-dir", str(home))
    verified = ("audit", "verify", "--work-dir", str(home), "--public-key", f"{key}.pub")
    assert "Intact" in run(*verified)


def test_import_is_refused_with_every_row(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"agent_id": "b"}\n{"agent_id": "", "success": 1}\n')
    report = json.loads(
        run("audit", "import", str(path), "--by", "G", "--work-dir", str(home), "--json", code=1)
    )
    assert (report["imported"], report["refused_count"]) == (0, 2)


@pytest.mark.slow
def test_a_named_human_lowers_a_level_and_says_why(home: Path) -> None:
    where = ("demote", "--work-dir", str(home), "--agent-id", "ada", "--to", "STUDENT")
    nobody = RUNNER.invoke(app, [*where, "--by", "system", "--reason", "x"])
    assert isinstance(nobody.exception, InputError)
    unsaid = RUNNER.invoke(app, [*where, "--by", "Grace", "--reason", " "])
    assert isinstance(unsaid.exception, InputError)
    key = home / "audit.pem"
    run("audit", "keys", str(key))
    signed = ("--signing-key", str(key), "--json")
    told = json.loads(run(*where, "--by", "Grace", "--reason", "two complaints", *signed))
    assert (told["previous_maturity"], told["new_maturity"]) == ("INTERN", "STUDENT")
    last = GraduationService(home).registry.chain.events()[-1]
    assert (last.kind.value, last.by, last.reason) == ("demoted", "Grace", "two complaints")
    assert "Intact" in run("audit", "verify", "--work-dir", str(home), "--public-key", f"{key}.pub")
    lowest = RUNNER.invoke(app, [*where, "--by", "Grace", "--reason", "again"])
    assert isinstance(lowest.exception, RefusedError)


async def test_a_scope_is_named_where_levels_are_given_and_taken(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    towns = "name: towns\nscopes: {woodstock: {tags: [woodstock]}}\n"
    (tmp_path / "policies" / "towns.yaml").write_text(towns)
    await GraduationService(tmp_path).enrol_agent(
        "ada", "INTERN", by="Grace", second="Linus", reason="came so", scope="woodstock"
    )
    where = ("--work-dir", str(tmp_path), "--agent-id", "ada")
    there = (*where, "--scope", "woodstock", "--by", "Grace")
    run("audit", "answer", *there, "--to", "SUPERVISED")
    trail = json.loads(run("audit", "trail", *where, "--scope", "woodstock", "--json"))
    assert [each["scope"] for each in trail["events"]] == ["woodstock"] * 2
    assert trail["current_maturity"] == "INTERN"
    assert "| woodstock | tag woodstock | INTERN |" in run("audit", "trail", *where)
    told = run("demote", *there, "--to", "STUDENT", "--reason", "two complaints")
    assert "ada in woodstock: INTERN → STUDENT" in told
    unknown = RUNNER.invoke(app, ["audit", "trail", *where, "--scope", "toronto"])
    assert isinstance(unknown.exception, InputError)


def test_exam_cases_are_listed(home: Path) -> None:
    assert "No edge cases yet" in run("exam", "list", "--work-dir", str(home))


@pytest.mark.slow
def test_corrections_broken_rules_and_ratings_are_kept_and_shown(home: Path) -> None:
    where = ("--work-dir", str(home))
    edit = ("--field", "tax_rate", "--original", "0.13", "--correction", "0.0")
    run("audit", "correct", "ep-1", *edit, "--reason", "exempt|<b>", "--by", "Grace", *where)
    run("audit", "rate", "ep-2", "--stars", "2", "--by", "Linus", "--comment", "too slow", *where)
    nobody = RUNNER.invoke(app, ["audit", "rate", "ep-2", "--stars", "2", "--by", "-", *where])
    assert isinstance(nobody.exception, InputError)
    shell = [{"tool": "bash", "fields": {"command": "rm -rf /"}}]
    GraduationService(home).sync.record_episode(**work(7, actions=shell))
    trail = json.loads(run("audit", "trail", "--agent-id", "ada", *where, "--json"))
    (correction,) = trail["remarks"]["corrections"]
    assert {name: correction[name] for name in ("field", "original", "correction", "by")} == {
        "field": "tax_rate",
        "original": "0.13",
        "correction": "0.0",
        "by": "Grace",
    }
    (broken,) = trail["remarks"]["broken_rules"]
    assert (broken["episode_id"], broken["pack"], broken["severity"]) == (
        "ep-7",
        "conduct",
        "critical",
    )
    assert [row["by"] for row in trail["remarks"]["ratings"] if row["rating"] == 0.4] == ["Linus"]
    page = Path(run("audit", "export", "--agent-id", "ada", *where).strip()).read_text()
    for word in ("tax_rate", "exempt|&lt;b&gt;", broken["rule"], "too slow"):
        assert word in page
    one = json.loads(run("episodes", "ep-1", *where, "--json"))
    assert one["remarks"]["corrections"][0]["reason"] == "exempt|<b>"
    assert "Corrections (1)" in run("episodes", "ep-1", *where)
