"""The graduation guide's code that writes episodes runs, with names adapted alone.

`Episode` is `OpenEpisode` here, and what was written is kept by `keep_episode`.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from graduation_support import START, fill, work

from grindstone.errors import InputError
from grindstone.graduation import GraduationService, OpenEpisode
from grindstone.graduation.intake.recording import (
    SessionAction,
    SessionEdit,
    SessionEnd,
    log_session,
)
from grindstone.graduation.rules.policy import Policy

Make = Callable[..., GraduationService]
logger = logging.getLogger("guide")


async def test_woodstock_readiness(service_at: Make, capsys: pytest.CaptureFixture[str]) -> None:
    service = service_at(Policy(name="p"))
    for number in range(2):
        name = f"sale-{number}"
        at = datetime(2026, 1, 5, 9, number, tzinfo=UTC)
        log_session(
            service.registry.home, name, SessionAction(type="action", tool="quote", text="0", at=at)
        )
        if number:
            log_session(
                service.registry.home, name, SessionEdit(type="correction", field="tax_rate")
            )
        log_session(service.registry.home, name, SessionEnd(type="end", success=True, at=at))
    woodstock_sales = [
        SimpleNamespace(session_id=f"sale-{number}", machinery_type="combine")
        for number in range(2)
    ]
    episodes = []

    woodstock_episodes = []
    for sale in woodstock_sales:
        episode = await service.create_episode_from_session(
            session_id=sale.session_id,
            agent_id="sales_bot",
            title=f"Woodstock Sale: {sale.machinery_type} - HST Calculation",
        )
        woodstock_episodes.append(episode.id)
        episodes.append(await service.open_episode(episode.id))

    result = await service.calculate_readiness_score(
        agent_id="sales_bot", target_maturity="AUTONOMOUS"
    )

    woodstock_count = len([ep for ep in episodes if "Woodstock" in ep.title])
    woodstock_interventions = sum(
        [ep.human_intervention_count for ep in episodes if "Woodstock" in ep.title]
    )

    print("Woodstock-Specific Readiness:")
    print(f"  Episodes: {woodstock_count}/50")
    print(f"  Interventions: {woodstock_interventions} (must be 0)")

    if woodstock_count >= 50 and woodstock_interventions == 0:
        print("✓ Ready for autonomous Woodstock sales emails")
    else:
        print("✗ Not ready - more training required")

    assert capsys.readouterr().out.splitlines()[1:] == [
        "  Episodes: 2/50",
        "  Interventions: 1 (must be 0)",
        "✗ Not ready - more training required",
    ]
    assert len(set(woodstock_episodes)) == 2
    assert result["ready"] is False


async def test_an_edge_case_is_written_and_taken_as_an_exam(
    service_at: Make, edge_task: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = service_at(Policy(name="p"))

    edge_case = OpenEpisode(
        title="Edge Case: HST Exemption for Agricultural Machinery",
        description="Historical failure where agent incorrectly applied HST to exempt equipment",
        agent_id="archive_failed_agent",
        topics=["hst", "exemptions", "agriculture"],
        constitutional_score=0.0,  # Failed
        human_intervention_count=1,  # Required correction
        human_edits=[
            {
                "field": "tax_rate",
                "original": "0.13",
                "correction": "0.0",
                "reason": "Agricultural machinery exempt from HST",
            }
        ],
    )

    kept = await service.keep_episode(edge_case)
    assert (kept.id, kept.topics, kept.constitutional_score, kept.passed) == (
        edge_case.id,
        ("hst", "exemptions", "agriculture"),
        0.0,
        False,
    )
    assert (await service.open_episode(kept.id)).human_intervention_count == 1
    await service.add_edge_case(edge_case.id, edge_task, added_by="Grace")

    exam_result = await service.run_graduation_exam(
        agent_id="current_agent", edge_case_episodes=[edge_case.id]
    )
    if exam_result["passed"]:
        print("✓ Agent correctly handled edge case")
    else:
        print("✗ Agent failed edge case - more training needed")
    assert capsys.readouterr().out == "✓ Agent correctly handled edge case\n"


async def test_interventions_are_tracked_granularly(service_at: Make) -> None:
    service = service_at(Policy(name="p"))
    await fill(service, 1)
    episode = await service.open_episode("ep-0")

    episode.human_intervention_count = 1
    episode.human_edits = [
        {
            "timestamp": "2026-02-03T10:30:00",
            "field": "tax_rate",
            "original": "0.13",
            "correction": "0.0",
            "reason": "Agricultural machinery exempt",
            "corrected_by": "tax_expert_1",
        }
    ]

    await service.keep_episode(episode)
    await service.keep_episode(episode)  # the same again adds nothing
    trail = await service.get_graduation_audit_trail("ada")
    (told,) = trail["remarks"]["corrections"]
    assert (told["field"], told["correction"], told["by"]) == ("tax_rate", "0.0", "tax_expert_1")
    assert trail["total_interventions"] == 1


async def test_compliance_is_validated_after_each_episode(
    service_at: Make, caplog: pytest.LogCaptureFixture
) -> None:
    service = service_at(Policy(name="p"))
    await service.record_episode(
        **work(0, actions=[{"tool": "bash", "fields": {"command": "rm -rf / --no-preserve-root"}}])
    )
    episode = await service.open_episode("ep-0")

    compliance_result = await service.validate_constitutional_compliance(episode_id=episode.id)

    episode.constitutional_score = compliance_result["score"]

    if not compliance_result["compliant"]:
        logger.warning(f"Constitutional violations: {compliance_result['violations']}")

    assert episode.constitutional_score == 0.0
    assert "Constitutional violations" in caplog.text


async def test_domain_specific_episodes(service_at: Make) -> None:
    service = service_at(Policy(name="p"))
    domain, specific_task, jurisdiction, task_type = "tax", "quote a combine", "ON", "quote"

    episode = OpenEpisode(
        title=f"{domain} Task: {specific_task}",
        topics=[domain, "hst", "ontario"],
        metadata={"domain": domain, "jurisdiction": jurisdiction, "task_type": task_type},
    )

    with pytest.raises(InputError, match="agent_id: is empty"):
        await service.keep_episode(episode)
    episode.agent_id = "tax_bot"
    kept = await service.keep_episode(episode)
    assert (kept.title, kept.task_id) == ("tax Task: quote a combine", "quote")
    assert kept.metadata["jurisdiction"] == "ON"


async def test_corrections_are_appended_where_they_are_made(service_at: Make) -> None:
    service = service_at(Policy(name="p"))
    await fill(service, 1)
    episode = await service.open_episode("ep-0")
    human_correction_made, corrected_field, original_value = True, "total", "113.00"
    corrected_value, correction_reason = "100.00", "exempt"

    if human_correction_made:
        episode.human_intervention_count += 1
        episode.human_edits.append(
            {
                "timestamp": datetime.now().isoformat(),
                "field": corrected_field,
                "original": original_value,
                "correction": corrected_value,
                "reason": correction_reason,
            }
        )

    await service.keep_episode(episode)
    again = await service.open_episode("ep-0")
    assert again.human_intervention_count == 1
    assert again.human_edits[0]["correction"] == "100.00"
    again.human_intervention_count += 1  # counted, and not described
    await service.keep_episode(again)
    await service.keep_episode(again)
    assert (await service.open_episode("ep-0")).human_intervention_count == 2
    assert (await service.assess("ada", "INTERN")).record.interventions == 2


async def test_what_is_no_correction_is_refused_by_its_field(service_at: Make) -> None:
    service = service_at(Policy(name="p"))
    await fill(service, 1)
    episode = await service.open_episode("ep-0")
    episode.human_edits.append({"feild": "total"})
    with pytest.raises(InputError, match=r"human_edits\[0\]\.field"):
        await service.keep_episode(episode)
    assert episode.started_at == START
