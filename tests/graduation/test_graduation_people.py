"""Who may answer for an agent, and what a refusal is worth."""

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from graduation_support import START, Clock, fill, work
from typer.testing import CliRunner

from grindstone.errors import InputError, RefusedError
from grindstone.flows.cli.app import app
from grindstone.graduation import GraduationService
from grindstone.graduation.audit.signing import make_keys
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.rules.people import load_approvers, named_human
from grindstone.graduation.rules.policy import ExamRule, Policy

Make = Callable[..., GraduationService]
FREE = ExamRule(required=False)


def approvers(home: Path, text: str) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / "approvers.yaml").write_text(text)


@pytest.mark.parametrize(
    "name",
    [
        *("", "  ", "-", "?", "n/a", "N/A", "system user", "SYSTEM", "auto", "none", "Nobody"),
        *("\u200b", "Gra\u200bce", "Grace\u202e", "\uff53ystem", "123", "grindstone"),
    ],
)
def test_what_is_no_persons_name(name: str) -> None:
    with pytest.raises(InputError, match="the name of the human"):
        named_human(name)


@pytest.mark.parametrize("name", ["Grace Hopper", "admin_user", "李", "Zoë", "O'Neil-Smith 3rd"])
def test_what_is_one(name: str) -> None:
    assert named_human(f"  {name} ") == name


async def test_an_agent_answers_for_nobody(service_at: Make, tmp_path: Path) -> None:
    service = service_at(Policy(name="p", exam=FREE))
    (tmp_path / "home" / "agents" / "bob" / "workspace").mkdir(parents=True)
    await fill(service, 12)
    await fill(service, 1, first=50, agent_id="carl")  # known by its record alone
    for name in ("ada", "ADA", "Bob", "carl", "\u0430da", "a-da", "\u00e0da", "ada."):
        with pytest.raises(RefusedError, match="is an agent"):
            await service.promote_agent("ada", "INTERN", name)
        with pytest.raises(InputError, match="is an agent"):
            await service.answer_proposal("ada", "INTERN", approved=True, by=name)
    await service.promote_agent("ada", "INTERN", "Grace")


async def test_only_the_approvers_of_a_home_in_their_scope_and_role(
    service_at: Make, tmp_path: Path
) -> None:
    approvers(
        tmp_path / "home",
        "approvers:\n"
        "  - {name: Grace Hopper, scopes: ['ada*']}\n"
        "  - {name: Linus, roles: [demote]}\n"
        "  - {name: Eve, scopes: ['sales*']}\n",
    )
    service = service_at(Policy(name="p", exam=FREE))
    await fill(service, 12)
    for name, why in {
        "Mallory": "not among the approvers",
        "Linus": "may not approve",
        "Eve": "does not answer for ada",
    }.items():
        with pytest.raises(RefusedError, match=why):
            await service.promote_agent("ada", "INTERN", name)
    change = await service.promote_agent("ada", "INTERN", " grace  HOPPER")
    assert change["validated_by"] == "Grace Hopper"
    with pytest.raises(InputError, match="not among the approvers"):
        await service.demote_agent("ada", "STUDENT", by="Mallory", reason="t")
    assert (await service.demote_agent("ada", "STUDENT", by="linus", reason="t"))[
        "validated_by"
    ] == "Linus"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("approvers: []\n", "names nobody"),
        ("approvers: [{name: n/a}]\n", "approvers.0.name"),
        ("approvers: [{name: Ada}, {name: ' ADA'}]\n", "named twice"),
        ("approvers: [{name: Ada, roles: [king]}]\n", "approvers.0.roles"),
        ("approvers: [{name: Ada, public_key: abc}]\n", "approvers.0.public_key"),
        ("approvers: [{nom: Ada}]\n", "approvers.0"),
    ],
)
def test_a_wrong_file_is_refused_by_field(tmp_path: Path, text: str, why: str) -> None:
    approvers(tmp_path, text)
    with pytest.raises(InputError, match=why):
        load_approvers(tmp_path / "approvers.yaml")


async def test_who_worked_on_the_record_does_not_approve_it(service_at: Make) -> None:
    policy = Policy(name="p", exam=FREE, separate_duties=True)
    service = service_at(policy)
    await fill(service, 12)  # rated by Grace
    await service.record_intervention("ep-3", field="rate", corrected_by="Linus")
    with pytest.raises(RefusedError, match="Grace rated the agent's work"):
        await service.promote_agent("ada", "INTERN", "Grace")
    with pytest.raises(RefusedError, match="linus corrected the agent's work"):
        await service.promote_agent("ada", "INTERN", "linus")
    await service.promote_agent("ada", "INTERN", "Eve")


async def test_two_people_where_the_policy_asks_for_two(service_at: Make, tmp_path: Path) -> None:
    service = service_at(Policy(name="p", exam=FREE, approvers_needed={Level.INTERN: 2}))
    await fill(service, 12)
    with pytest.raises(RefusedError, match="2 people must approve INTERN; 1 did"):
        await service.promote_agent("ada", "INTERN", "Grace")
    await service.answer_proposal("ada", "INTERN", approved=True, by="GRACE")
    with pytest.raises(RefusedError, match="1 did"):
        await service.promote_agent("ada", "INTERN", "Grace")  # the same person twice
    for alike in ("Gr\u0430ce", "Grace.", "Gra-ce", "Gr\u00e1ce"):
        with pytest.raises(RefusedError, match="1 did"):
            await service.promote_agent("ada", "INTERN", alike)
    change = await service.promote_agent("ada", "INTERN", "Linus")
    assert change["validated_by"] == "GRACE and Linus"


async def test_a_refusal_stands_until_there_is_new_evidence(service_at: Make, clock: Clock) -> None:
    service = service_at(Policy(name="p", exam=FREE, approval="ui", refusal_episodes=3))
    await fill(service, 12)
    clock.now = START.replace(hour=12)
    await service.answer_proposal(
        "ada", "INTERN", approved=False, by="Grace", reason="too early", channel="ui"
    )
    await service.answer_proposal("ada", "INTERN", approved=True, by="Eve", channel="ui")
    with pytest.raises(RefusedError, match=r"Grace refused it in event 1 \(too early\)"):
        await service.promote_agent("ada", "INTERN", "")
    events = len(service.registry.chain.events())
    for _ in range(2):
        (decision,) = (await service.review()).decisions
        assert decision.action == "none"
        assert "too early" in decision.reason
    assert len(service.registry.chain.events()) == events  # nothing is proposed again
    await fill(service, 3, first=300)
    await service.promote_agent("ada", "INTERN", "")


async def test_who_refused_may_change_their_mind(service_at: Make, clock: Clock) -> None:
    service = service_at(Policy(name="p", exam=FREE))
    await fill(service, 12)
    clock.now = START.replace(hour=12)
    await service.answer_proposal("ada", "INTERN", approved=False, by="Grace")
    with pytest.raises(RefusedError, match="Grace refused it"):
        await service.promote_agent("ada", "INTERN", "Eve")
    await service.answer_proposal("ada", "INTERN", approved=True, by="Grace")
    await service.promote_agent("ada", "INTERN", "Eve")


async def test_an_approver_with_a_key_signs(service_at: Make, tmp_path: Path) -> None:
    home = tmp_path / "home"
    public = load_pem_public_key(make_keys(tmp_path / "grace.pem").read_bytes())
    raw = base64.b64encode(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    approvers(home, f"approvers: [{{name: Grace, public_key: '{raw}'}}]\n")
    (home / "policies").mkdir()
    (home / "policies" / "p.yaml").write_text("name: p\nexam: {required: false}\n")
    service = service_at()
    await fill(service, 12)
    with pytest.raises(RefusedError, match="Grace has a key, and has not signed"):
        await service.promote_agent("ada", "INTERN", "Grace")
    with pytest.raises(InputError, match="is missing; Grace has a key"):
        await service.answer_proposal("ada", "INTERN", approved=True, by="Grace")
    make_keys(tmp_path / "other.pem")
    answer = ["audit", "answer", "--agent-id", "ada", "--to", "INTERN", "--by", "Grace"]
    where = ["--work-dir", str(home)]
    forged = await asyncio.to_thread(
        CliRunner().invoke, app, [*answer, *where, "--key", str(tmp_path / "other.pem")]
    )
    assert isinstance(forged.exception, InputError)
    given = await asyncio.to_thread(
        CliRunner().invoke, app, [*answer, *where, "--key", str(tmp_path / "grace.pem")]
    )
    assert given.exit_code == 0, given.output
    signature = str(service.registry.chain.events()[-1].evidence["signature"])
    refused = await asyncio.to_thread(
        CliRunner().invoke, app, [*answer, *where, "--key", str(tmp_path / "grace.pem"), "--refuse"]
    )
    assert refused.exit_code == 0, refused.output
    with pytest.raises(InputError, match="is not Grace's"):  # what she said before she refused
        await service.answer_proposal(
            "ada", "INTERN", approved=True, by="Grace", signature=signature
        )
    again = await asyncio.to_thread(
        CliRunner().invoke, app, [*answer, *where, "--key", str(tmp_path / "grace.pem")]
    )
    assert again.exit_code == 0, again.output
    await service.promote_agent("ada", "INTERN", "Grace")
    with pytest.raises(InputError, match="is not Grace's"):  # no old answer serves again
        await service.answer_proposal(
            "ada", "INTERN", approved=True, by="Grace", signature=signature
        )


async def test_above_student_an_agent_is_enrolled_on_evidence_or_two_peoples_word(
    service_at: Make,
) -> None:
    service = service_at()
    await service.record_episode(
        **work(1, agent_id="bad", actions=[{"tool": "bash", "fields": {"command": "rm -rf /"}}])
    )
    with pytest.raises(RefusedError, match="breached a critical rule"):
        await service.enrol_agent("bad", "AUTONOMOUS", by="Eve", reason="trust me")
    with pytest.raises(InputError, match="reason: is empty"):
        await service.enrol_agent("bad", "AUTONOMOUS", by="Eve", second="Grace", reason=" ")
    with pytest.raises(InputError, match="another person"):
        await service.enrol_agent("bad", "AUTONOMOUS", by="Eve", second="EVE", reason="t")
    event = await service.enrol_agent("bad", "INTERN", by="Eve", second="Grace", reason="known")
    assert (event.by, event.evidence["grounds"]) == ("Eve and Grace", "two people")
    await fill(service, 12, agent_id="good", episode_id="")
    event = await service.enrol_agent("good", "INTERN", by="Eve", reason="its record")
    assert event.evidence["grounds"] == "record"
    student = await service.enrol_agent("new", "STUDENT", by="Eve", reason="")
    assert student.to_level is Level.STUDENT


async def test_cases_and_imports_are_somebodys(
    service_at: Make, edge_task: Path, tmp_path: Path
) -> None:
    service = service_at()
    await service.record_episode(**work(1, success=False))
    with pytest.raises(InputError, match="added_by"):
        await service.add_edge_case("ep-1", edge_task, added_by="")
    (tmp_path / "rows.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match="the name of the human"):
        await service.import_episodes(tmp_path / "rows.jsonl", by="")
