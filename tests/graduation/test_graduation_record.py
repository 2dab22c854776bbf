"""What comes into the record, and what is told of it: sessions, corrections, imports, trails."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from graduation_support import START, fill, work

from grindstone.errors import InputError
from grindstone.graduation import GraduationService, log_session
from grindstone.graduation.audit.event import EventKind
from grindstone.graduation.audit.trail import to_html, to_markdown
from grindstone.graduation.intake.recording import SessionAction, SessionEdit, SessionEnd
from grindstone.graduation.rules.policy import (
    ExamRule,
    Policy,
)
from grindstone.graduation.rules.scope import Scope

Make = Callable[..., GraduationService]
FREE = ExamRule(required=False)


async def test_interventions_add_up_edit_by_edit(service_at: Make) -> None:
    service = service_at()
    edits = [{"field": "rate", "original": "1", "correction": "2", "corrected_by": "Grace"}]
    told = await service.record_episode(**work(1, human_intervention_count=3, human_edits=edits))
    assert told.human_intervention_count == 3
    detailed = await service.record_episode(**work(2, agent_id="bob", human_edits=edits))
    assert detailed.human_intervention_count == 1
    for reason in ("first", "second", "second"):
        await service.record_intervention(
            "ep-1", field="rate", reason=reason, timestamp=START + timedelta(hours=1)
        )
    trail = await service.get_graduation_audit_trail("ada")
    assert trail["total_interventions"] == 3 + 2  # the same correction twice is one
    assert trail["intervened_episodes"] == 1


async def test_compliance_has_the_documented_keys(service_at: Make) -> None:
    service = service_at()
    await service.record_episode(
        **work(1, tags=["tax"], metadata={"tax_rate": 0.2, "jurisdiction": "ON", "hst": 1})
    )
    found = await service.validate_constitutional_compliance("ep-1")
    assert (found["compliant"], found["score"], found["episode_id"]) == (False, 0.0, "ep-1")
    assert found["violations"][0]["rule"] == "CA-TAX-RATE"
    assert found["violations"][0]["pack"] == "canada-sales-tax"
    with pytest.raises(InputError, match="not in the ledger"):
        await service.validate_constitutional_compliance("ep-404")


@pytest.mark.slow
async def test_audit_trail_has_the_documented_keys_and_pages(service_at: Make) -> None:
    service = service_at()
    await service.enrol_agent(
        "ada", "INTERN", by="Grace", second="Linus", reason="t", name="Ada <b>", since=START
    )
    await fill(service, 5, maturity="STUDENT")
    await fill(service, 7, first=10, maturity="INTERN", human_intervention_count=1)
    trail = await service.get_graduation_audit_trail("ada")
    json.dumps(trail)
    assert trail["agent_name"] == "Ada <b>"
    assert trail["current_maturity"] == "INTERN"
    assert (trail["total_episodes"], trail["total_interventions"]) == (12, 7)
    assert trail["avg_constitutional_score"] == 1.0
    assert trail["episodes_by_maturity"]["STUDENT"] == 5
    recent = trail["recent_episodes"]
    assert len(recent) == 10
    assert recent[0]["id"] == "ep-16"
    assert set(recent[0]) >= {
        *("id", "title", "started_at", "human_intervention_count", "constitutional_score"),
    }
    record = await service.trail("ada")
    page = to_html(record)
    assert "<b>" not in page
    assert page.count("<svg") == 0  # plots are data, not markup
    assert page.count("data:image/svg+xml") == 2
    assert "http" not in page.split("</style>")[1].replace("http-equiv", "")
    assert "7 in 7 episodes" in to_markdown(record)


async def test_scope_counts_only_what_it_names(service_at: Make) -> None:
    service = service_at(Policy(name="p", scope=Scope(tags=("woodstock",))))
    await fill(service, 3, tags=["woodstock"])
    await fill(service, 4, first=10, tags=["guelph"], title="Woodstock Sale", topics=["hst"])
    count = (await service.calculate_readiness_score("ada"))["episode_count"]
    assert count == 3
    for scope, expected in (
        (Scope(title="^Woodstock Sale"), 4),
        (Scope(topics=("hst",)), 4),
        (Scope(), 7),
        (Scope(tags=("woodstock",), topics=("hst",)), 0),
    ):
        found = await service.calculate_readiness_score("ada", scope=scope)
        assert found["episode_count"] == expected


async def test_sessions_become_episodes(service_at: Make, tmp_path: Path) -> None:
    service = service_at()
    log_session(
        tmp_path / "home",
        "s/1",
        SessionAction(type="action", tool="quote", fields={"tax_rate": 0.13}, at=START),
    )
    with pytest.raises(InputError, match="0 lines of type end"):
        await service.create_episode_from_session("s/1", "ada", "A sale")
    log_session(
        tmp_path / "home", "s/1", SessionEdit(type="correction", field="tax_rate", original="0.05")
    )
    log_session(
        tmp_path / "home",
        "s/1",
        SessionEnd(
            type="end", success=True, metadata={"jurisdiction": "ON"}, at=START, topics=("hst",)
        ),
    )
    episode = await service.create_episode_from_session("s/1", "ada", "A sale")
    assert (episode.title, episode.topics) == ("A sale", ("hst",))
    found = await service.validate_constitutional_compliance(episode.episode_id)
    assert found["score"] == 1.0
    trail = await service.get_graduation_audit_trail("ada")
    assert trail["total_interventions"] == 1


def rows(count: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "agent_id": "other",
            "episode_id": f"imp-{i}",
            "title": f"Imported {i}",
            "success": True,
            "started_at": f"2026-02-0{i % 9 + 1}T10:30:00",
            "human_intervention_count": i % 2,
        }
        | more
        for i in range(count)
    ]


async def test_imports_are_whole_or_not_at_all(service_at: Make, tmp_path: Path) -> None:
    service = service_at()
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    good.write_text("\n".join(json.dumps(row) for row in rows(20)))
    lines = [json.dumps(row) for row in rows(20, agent_id="mallory")]
    lines[4] = "{not json"
    lines[7] = json.dumps(rows(1, success="perhaps")[0] | {"episode_id": "x"})
    lines[9] = lines[8]
    lines[11] = json.dumps(rows(1)[0] | {"episode_id": "y", "surprise": 1})
    bad.write_text("\n".join(lines))
    refused = await service.import_episodes(bad, by="Grace")
    assert (refused.accepted, refused.imported, refused.refused_count) == (False, 0, 4)
    assert [(item.row, item.field) for item in refused.refused] == [
        (5, ""),
        (8, "success"),
        (10, "episode_id"),
        (12, "surprise"),
    ]
    assert "mallory" not in service.registry.agents()
    report = await service.import_episodes(good, by="Grace")
    assert (report.accepted, report.imported) == (True, 20)
    again = await service.import_episodes(good, by="Grace")
    assert again.accepted
    trail = await service.get_graduation_audit_trail("other")
    assert (trail["total_episodes"], trail["total_interventions"]) == (20, 10)
    kinds = [event.kind for event in service.registry.chain.events()]
    assert kinds.count(EventKind.IMPORTED) == 1
    twin = tmp_path / "twin.jsonl"
    twin.write_text(json.dumps(rows(1)[0] | {"title": "other"}))
    assert (
        "is in the ledger already"
        in (await service.import_episodes(twin, by="Grace")).refused[0].problem
    )
    with pytest.raises(InputError, match="no such file"):
        await service.import_episodes(tmp_path / "none.jsonl", by="Grace")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("started_at", '"9999-12-31T23:59:59-23:59"', "started_at"),
        ("started_at", '"0001-01-01T00:00:00+23:59"', "started_at"),
        ("metadata", '{"rate": 1e400}', ""),
        ("metadata", '{"rate": NaN}', ""),
    ],
)
async def test_what_the_ledger_cannot_keep_is_refused_by_its_row(
    service_at: Make, tmp_path: Path, field: str, value: str, said: str
) -> None:
    path = tmp_path / "odd.jsonl"
    row = json.dumps(rows(1)[0] | {field: "HERE"})
    path.write_text(row.replace('"HERE"', value))
    report = await service_at().import_episodes(path, by="Grace")
    assert [(item.row, item.field) for item in report.refused] == [(1, said)]


async def test_import_from_parquet(service_at: Make, tmp_path: Path) -> None:
    path = tmp_path / "work.parquet"
    table = rows(6, metadata='{"jurisdiction": "ON", "tax_rate": 0.13}', topics=["hst"])
    pl.DataFrame(table).write_parquet(path)
    service = service_at()
    assert (await service.import_episodes(path, by="Grace")).imported == 6
    found = await service.calculate_readiness_score(
        "other", scope=Scope(metadata={"jurisdiction": "ON"})
    )
    assert found["episode_count"] == 6
