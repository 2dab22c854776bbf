"""What a promotion rests on as a signed folder: a stranger checks it, and every byte counts."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from graduation_support import fill, promotion
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner
from typer.testing import CliRunner

from grindstone.errors import InputError
from grindstone.flows.cli.app import app
from grindstone.graduation import GraduationService
from grindstone.graduation.audit.bundle import (
    PAYLOAD_TYPE,
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    verify_bundle,
    write_bundle,
)
from grindstone.graduation.audit.counted_rows import (
    root_of,
)
from grindstone.graduation.audit.event import AuditEvent
from grindstone.graduation.audit.evidence_check import check_evidence
from grindstone.graduation.audit.merkle import leaf
from grindstone.graduation.audit.signing import make_keys, private_key_of
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.rules.policy import ExamRule, Policy, PromotionStep


@pytest.fixture
def signer(tmp_path: Path) -> Path:
    make_keys(tmp_path / "signer.pem")
    return tmp_path / "signer.pem"


@pytest.mark.slow
async def test_a_stranger_checks_a_bundle_without_a_home(
    promoted: GraduationService, signer: Path, tmp_path: Path
) -> None:
    number, home = promotion(promoted).sequence, promoted.registry.home
    made = CliRunner().invoke(
        app,
        [
            *("audit", "bundle", str(number), "--key", str(signer)),
            *("--output", str(tmp_path / "out"), "--work-dir", str(home)),
        ],
    )
    assert made.exit_code == 0, made.output
    shutil.rmtree(home)
    check = ["audit", "verify", "--bundle", str(tmp_path / "out")]
    public = signer.with_name("signer.pem.pub")
    shown = CliRunner().invoke(app, [*check, "--public-key", str(public)])
    assert shown.exit_code == 0, shown.output
    assert "ada was promoted from STUDENT to INTERN by Grace" in shown.output
    assert "compare it with the signer's" in CliRunner().invoke(app, check).output
    make_keys(tmp_path / "other.pem")
    other = CliRunner().invoke(app, [*check, "--public-key", str(tmp_path / "other.pem.pub")])
    assert other.exit_code == 1


@pytest.mark.slow
async def test_every_file_of_a_bundle_counts(
    promoted: GraduationService, signer: Path, tmp_path: Path
) -> None:
    folder = write_bundle(promoted.registry, promotion(promoted).sequence, signer, tmp_path / "out")
    public = signer.with_name("signer.pem.pub")
    dice = random.Random(7)
    assert verify_bundle(folder, public).valid
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for _ in range(10):
            spot = dice.randrange(len(whole))
            path.write_bytes(whole[:spot] + bytes([whole[spot] ^ 1]) + whole[spot + 1 :])
            found = verify_bundle(folder, public)
            # White space of the envelope is the only thing that says nothing.
            if path.name == "promotion.dsse.json" and found.valid:
                assert json.loads(path.read_bytes()) == json.loads(whole)
            else:
                assert not found.valid, (path.name, spot)
                assert path.name in found.problems[0]
        path.write_bytes(whole)
    (folder / "more.txt").write_text("x")
    assert verify_bundle(folder, public).problems == ("more.txt: was added",)


async def test_a_bundle_signed_over_rows_that_do_not_meet_the_criteria_is_refused(
    promoted: GraduationService, signer: Path, tmp_path: Path
) -> None:
    """Whoever holds the key still cannot claim what the rows do not show."""
    import hashlib

    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import CryptoSigner

    from grindstone.graduation.audit.event import EventDraft, seal
    from grindstone.graduation.audit.signing import private_key_of

    folder = write_bundle(promoted.registry, promotion(promoted).sequence, signer, tmp_path / "out")
    events = [
        AuditEvent.model_validate_json(line)
        for line in (folder / "events.jsonl").read_bytes().splitlines()
    ]
    lines = (folder / "rows.jsonl").read_bytes().splitlines()
    kept = [line for line in lines if b'"ep-1"' not in line and b'"ep-2"' not in line]
    kept = [line for line in kept if b'"ep-3"' not in line]
    marks = {tuple(json.loads(line)[0]): leaf(json.loads(line)) for line in kept}
    last = events[-1]
    forged = last.model_dump(exclude={"sequence", "previous", "digest"})
    forged["evidence"]["rows"]["root"] = root_of(marks)
    events[-1] = seal(
        EventDraft.model_validate(forged), sequence=last.sequence, previous=last.previous
    )
    files = {
        "rows.jsonl": b"".join(line + b"\n" for line in kept),
        "events.jsonl": b"".join(each.file() for each in events),
    }
    envelope = Envelope.from_dict(json.loads((folder / "promotion.dsse.json").read_bytes()))
    statement = json.loads(envelope.payload)
    for item in statement["subject"]:
        if item["name"] in files:
            item["digest"]["sha256"] = hashlib.sha256(files[item["name"]]).hexdigest()
            (folder / item["name"]).write_bytes(files[item["name"]])
    statement["predicate"]["digest"] = events[-1].digest
    again = Envelope(json.dumps(statement).encode(), envelope.payload_type, {})
    again.sign(CryptoSigner(private_key_of(signer)))
    (folder / "promotion.dsse.json").write_text(json.dumps(again.to_dict()))
    found = verify_bundle(folder, signer.with_name("signer.pem.pub"))
    assert not found.valid
    assert any("episodes: the rows say 9" in each for each in found.problems)


async def test_no_bundle_of_what_is_no_promotion_or_was_changed(
    promoted: GraduationService, signer: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="is no promotion"):
        write_bundle(promoted.registry, 1, signer, tmp_path / "out")
    for part in (promoted.registry.home.ledger / "ratings").rglob("*.parquet"):
        part.unlink()
    with pytest.raises(InputError, match="12 rows are not as counted"):
        write_bundle(promoted.registry, promotion(promoted).sequence, signer, tmp_path / "out")


@pytest.mark.parametrize("subject", [None, [1], [{}], [{"name": "rows.jsonl"}], "everything"])
def test_a_signed_statement_of_anything_else_is_a_finding(
    subject: object, signer: Path, tmp_path: Path
) -> None:
    kind = {"_type": STATEMENT_TYPE, "predicateType": PREDICATE_TYPE}
    for stated in (kind | {"subject": subject}, kind, [1], None):
        envelope = Envelope(json.dumps(stated).encode(), PAYLOAD_TYPE, {})
        envelope.sign(CryptoSigner(private_key_of(signer)))
        (tmp_path / "promotion.dsse.json").write_text(json.dumps(envelope.to_dict()))
        found = verify_bundle(tmp_path, signer.with_name("signer.pem.pub"))
        assert not found.valid and len(found.problems) == 1


async def test_a_promotion_rests_on_rows_of_any_name(
    service_at: Callable[..., GraduationService],
) -> None:
    criteria = {"min_episodes": 2, "max_intervention_rate": 1, "min_constitutional_score": 0}
    step = PromotionStep.model_validate(criteria)
    policy = Policy(name="p", steps={Level.INTERN: step}, exam=ExamRule(required=False))
    service = service_at(policy)
    await fill(service, 3, skills=["a\u2028b", "c\u0085d", "e\rf"])
    await service.promote_agent("ada", "INTERN", "Grace")
    found = check_evidence(service.registry, service.registry.chain.events())
    assert found.intact, found.lines()
