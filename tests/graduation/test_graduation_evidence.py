"""What a promotion rests on: bound to it, told when it changes, checked by strangers."""

import os
import random
from copy import deepcopy
from typing import Any

import pytest
import rfc8785
from graduation_support import START, promotion, work
from typer.testing import CliRunner

from grindstone.flows.cli.app import app
from grindstone.graduation import GraduationService
from grindstone.graduation.audit.chain import Chain
from grindstone.graduation.audit.counted_rows import (
    FIRST_TABLES,
    CountedRow,
    compare_rows,
    counted_rows,
    list_path,
    read_list,
    seal_of,
)
from grindstone.graduation.audit.evidence_check import EvidenceCheck, check_evidence
from grindstone.graduation.audit.merkle import leaf, root
from grindstone.graduation.audit.standing import agent_of
from grindstone.graduation.audit.verify import verify
from grindstone.graduation.rules.policy import Policy


def evidence(service: GraduationService) -> EvidenceCheck:
    return check_evidence(service.registry, service.registry.chain.events())


def test_leaves_and_nodes_are_those_of_the_standards() -> None:
    """A leaf is RFC 6962's of RFC 8785's bytes; three leaves make the tree of RFC 6962, 2.1."""
    import hashlib

    value = {"b": 1, "a": [1e21, "ü"], "n": None}
    assert leaf(value) == hashlib.sha256(b"\0" + rfc8785.dumps(value)).hexdigest()
    a, b, c = (bytes.fromhex(leaf(each)) for each in (1, 2, 3))
    node = hashlib.sha256(b"\1" + a + b).digest()
    assert root([each.hex() for each in (a, b, c)]) == hashlib.sha256(b"\1" + node + c).hexdigest()
    assert leaf({"big": 2**60}) != leaf({"big": 2**60 + 1})
    assert leaf(float("nan")) != leaf(float("inf"))


async def test_a_promotion_holds_what_it_counted(promoted: GraduationService) -> None:
    seal = seal_of(promotion(promoted))
    assert seal is not None
    assert seal.counts == {
        "episodes": 13,  # twelve, and the exam's
        "interventions": 1,
        "compliance": 12,
        "ratings": 12,
        "skill_uses": 12,
        "trajectories": 12,
        "trajectory_steps": 12,
    }
    assert evidence(promoted).intact


@pytest.mark.slow
async def test_a_deleted_correction_is_named(promoted: GraduationService) -> None:
    """The corrections that a promotion would have been refused for cannot be taken away after."""
    for part in (promoted.registry.home.ledger / "interventions").rglob("*.parquet"):
        part.unlink()
    found = evidence(promoted)
    assert not found.intact
    (finding,) = found.promotions[0].findings
    assert (finding.kind, finding.row.split()[:2]) == ("deleted", ["interventions", "ep-11"])
    shown = CliRunner().invoke(
        app, ["audit", "verify", "--evidence", "--work-dir", str(promoted.registry.home)]
    )
    assert shown.exit_code == 1
    assert "interventions ep-11" in shown.output
    assert (
        CliRunner()
        .invoke(app, ["audit", "verify", "--work-dir", str(promoted.registry.home)])
        .exit_code
        == 0
    )


@pytest.mark.slow
async def test_what_came_later_is_no_tampering_and_what_was_slipped_in_is(
    promoted: GraduationService,
) -> None:
    await promoted.record_intervention("ep-3", field="rate", corrected_by="Grace")
    found = evidence(promoted)
    assert found.intact
    assert [each.kind for each in found.promotions[0].findings] == ["later"]
    await promoted.record_episode(**work(12))  # says it was done before the promotion
    found = evidence(promoted)
    late = [each for each in found.promotions[0].findings if each.kind == "recorded later"]
    tables = {"episodes", "ratings", "skill_uses", "trajectories", "trajectory_steps"}
    assert {each.row.split()[0] for each in late} == tables
    assert {each.row.split()[1] for each in late} == {"ep-12"}
    assert found.intact
    assert any("ep-12 of run" in line and "recorded since" in line for line in found.lines())
    # The same in files that were there when the ledger was read: somebody put it into them.
    for part in promoted.registry.home.ledger.rglob("*.parquet"):
        os.utime(part, (START.timestamp(), START.timestamp()))
    found = evidence(promoted)
    added = [each for each in found.promotions[0].findings if each.kind == "added"]
    assert {each.row.split()[0] for each in added} == tables
    assert not found.intact


async def test_a_step_that_was_taken_out_or_rewritten_is_named(promoted: GraduationService) -> None:
    """What an agent did is part of what its level rests on."""
    import polars as pl

    steps = promoted.registry.home.ledger / "trajectory_steps"
    for part in steps.rglob("*.parquet"):
        frame = pl.read_parquet(part)
        kept = frame.filter(pl.col("episode_id") != "ep-4")
        text = pl.when(pl.col("episode_id") == "ep-5").then(pl.lit("I only looked."))
        kept.with_columns(text.otherwise(pl.col("message")).alias("message")).write_parquet(part)
    found = evidence(promoted)
    assert not found.intact
    named = {(each.kind, *each.row.split()[:3]) for each in found.promotions[0].findings}
    assert named == {
        ("deleted", "trajectory_steps", "ep-4", "0"),
        ("changed", "trajectory_steps", "ep-5", "0"),
    }


async def test_a_promotion_of_before_steps_were_counted_stands(promoted: GraduationService) -> None:
    event = promotion(promoted)
    seal = seal_of(event)
    assert seal is not None
    old = {name: value for name, value in event.evidence["rows"].items() if name != "tables"}
    before = seal_of(event.model_copy(update={"evidence": event.evidence | {"rows": old}}))
    assert before is not None
    assert before.tables == FIRST_TABLES
    assert set(seal.tables) - set(FIRST_TABLES) == {"trajectories", "trajectory_steps"}


async def test_a_part_of_the_ledger_or_the_list_that_was_changed_is_named(
    promoted: GraduationService,
) -> None:
    registry = promoted.registry
    seal = seal_of(promotion(promoted))
    assert seal is not None
    path = list_path(registry.chain.folder, seal.root)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"ep-11", b"ep-12", 1))
    assert path.name in evidence(promoted).promotions[0].problem
    path.unlink()
    assert "is missing" in evidence(promoted).promotions[0].problem
    path.write_bytes(whole)
    assert evidence(promoted).intact
    part = next((registry.home.ledger / "ratings").rglob("*.parquet"))
    part.write_bytes(part.read_bytes()[:-1])
    assert part.name in evidence(promoted).promotions[0].problem


async def test_a_row_rewritten_in_the_ledger_is_named(promoted: GraduationService) -> None:
    import polars as pl

    home = promoted.registry.home
    for part in (home.ledger / "compliance").rglob("*.parquet"):
        frame = pl.read_parquet(part)
        if "ep-5" in frame["episode_id"]:
            score = pl.when(pl.col("episode_id") == "ep-5").then(0.9).otherwise(pl.col("score"))
            frame.with_columns(score.alias("score")).write_parquet(part)
    (finding,) = evidence(promoted).promotions[0].findings
    assert (finding.kind, "ep-5" in finding.row) == ("changed", True)


def tampered(rows: list[CountedRow], dice: random.Random) -> tuple[list[CountedRow], str, str]:
    """Delete, add or change one row; return the rows, what was done and the row's name."""
    at = dice.randrange(len(rows))
    row = rows[at]
    what = dice.choice(["deleted", "added", "changed"])
    if what == "deleted":
        return rows[:at] + rows[at + 1 :], what, row.name
    content = deepcopy(row.content)
    if what == "added":
        place = (*row.place[:-1], f"{row.place[-1]}-{dice.randrange(10**6)}")
        for name in ("at", "ended_at"):
            if name in content:
                content[name] = START.isoformat()
        new = CountedRow(place, content, leaf([list(place), content]))
        return [*rows, new], what, new.name
    name = dice.choice(sorted(content))
    content[name] = _other(content[name], dice)
    new = CountedRow(row.place, content, leaf([list(row.place), content]))
    return [*rows[:at], new, *rows[at + 1 :]], what, row.name


def _other(value: Any, dice: random.Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + dice.choice([1, -1, 1e-9 if isinstance(value, float) else 2])
    if isinstance(value, str):
        place = dice.randrange(len(value) + 1)
        return value[:place] + dice.choice("xyz\u200b") + value[place:]
    return [value, "more"]


@pytest.mark.slow
async def test_a_thousand_tamperings_of_rows_and_chain_are_found_and_named(
    promoted: GraduationService,
) -> None:
    registry, dice = promoted.registry, random.Random(20260203)
    event = promotion(promoted)
    seal = seal_of(event)
    assert seal is not None
    policy, events = Policy.model_validate(seal.policy), registry.chain.events()
    agent = agent_of(events[: event.sequence - 1], "ada")
    rows = counted_rows(registry, policy, agent, seal.packs, seal.exams)
    listed = read_list(list_path(registry.chain.folder, seal.root).read_bytes(), seal, "list")
    assert compare_rows(listed, rows, event.at) == ()
    assert sum(row.place[0] == "trajectory_steps" for row in rows) == 12
    missed = []
    for number in range(700):
        changed, what, name = tampered(rows, dice)
        found = [(each.kind, each.row) for each in compare_rows(listed, changed, event.at)]
        if found != [(what, name)]:
            missed.append((number, what, name, found))
    for number in range(300):
        path = registry.chain.path(dice.randint(1, len(events)))
        whole, how = path.read_bytes(), dice.randrange(3)
        spot = dice.randrange(len(whole))
        if how == 0:
            path.unlink()
        elif how == 1:
            path.write_bytes(
                whole[:spot] + bytes([whole[spot] ^ 1 << dice.randrange(8)]) + whole[spot + 1 :]
            )
        else:
            path.write_bytes(whole[:spot] + whole[spot + 1 :])
        checked = verify(Chain(registry.home))
        path.write_bytes(whole)
        if checked.intact or checked.first_bad != path.name:
            missed.append((number, "chain", path.name, checked.problem))
    assert missed == []
    assert verify(Chain(registry.home)).intact
