"""Policies as files, and what skills and capabilities come to by them."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from graduation_support import START, Clock, fill, work

from grindstone.errors import InputError
from grindstone.graduation import GraduationService
from grindstone.graduation.audit.event import EventKind
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.rules.policy import (
    Criteria,
    ExamRule,
    Policy,
    load_policies,
    load_policy,
    policy_for,
)

Make = Callable[..., GraduationService]
FREE = ExamRule(required=False)


@pytest.mark.slow
async def test_skills_and_capabilities_follow_the_record(service_at: Make, clock: Clock) -> None:
    service = service_at()
    await service.enrol_agent(
        "ada", "AUTONOMOUS", by="Grace", second="Linus", reason="t", since=START
    )
    for number in range(3):
        await service.record_episode(
            **work(number, skills=["tax"], difficulty="simple", metadata={"capability": "query"})
        )
    found = await service.own_levels("ada")
    assert (found.skills[0].earned, found.skills[0].level) == (True, Level.AUTONOMOUS)
    await fill(service, 2, first=10, metadata={"capability": "query"})
    assert (await service.own_levels("ada")).of_capability("query") is Level.INTERN
    assert (await service.own_levels("ada")).of_capability("shell") is Level.STUDENT
    await service.record_intervention("ep-2", field="x", corrected_by="Grace")
    kinds = [event.kind for event in service.registry.chain.events()]
    assert kinds.count(EventKind.SKILL_PROMOTED) == 1
    assert kinds.count(EventKind.SKILL_DEMOTED) == 1
    clock.now = START + timedelta(minutes=11)
    await service.reset_capability("ada", "query", by="Grace", reason="a complaint")
    assert (await service.own_levels("ada")).of_capability("query") is Level.STUDENT


async def test_unverified_outcomes_raise_no_capability(service_at: Make) -> None:
    service = service_at()
    claims = {"verified_by": "", "ratings": [], "metadata": {"capability": "query"}}
    await fill(service, 60, **claims)
    assert (await service.own_levels("ada")).capabilities == ()


@pytest.mark.parametrize(
    "flaw",
    [
        {"actions": [{"tool": "bash", "fields": {"command": "rm -rf /"}}]},
        {"human_edits": [{"field": "rate", "corrected_by": "Linus"}]},
    ],
)
async def test_what_breached_or_was_corrected_raises_no_capability(
    service_at: Make, flaw: dict[str, Any]
) -> None:
    service = service_at()
    await fill(service, 20, metadata={"capability": "query"}, **flaw)
    (found,) = (await service.own_levels("ada")).capabilities
    assert (found.level, found.successes, found.uses) == (Level.STUDENT, 0, 20)


def test_sync_twin_and_bundled_policies(service_at: Make) -> None:
    service = service_at()
    found = service.sync.calculate_readiness_score("ada", "INTERN")
    assert found["ready"] is False
    assert "10 more completed episodes are needed" in found["gaps"][0]
    with pytest.raises(AttributeError, match="awaits no method"):
        _ = service.sync.registry
    policies = load_policies()
    names = {policy.name for policy in policies}
    assert names == {"default", "medscribe", "woodstock", "tax-multi-province"}
    assert policy_for("medscribe_agent", policies).approval == "ui"
    assert policy_for("somebody", policies).name == "default"
    default = policy_for("somebody", policies)
    asked = {level: step.min_success_rate for level, step in default.steps.items()}
    assert asked == {Level.INTERN: 0.5, Level.SUPERVISED: 0.8, Level.AUTONOMOUS: 0.95}
    steps = {
        level: step.model_copy(update={"min_success_rate": 0.0})
        for level, step in default.steps.items()
    }
    documented = default.model_copy(update={"description": "", "steps": steps})
    assert documented == Policy(name="default")


def test_bad_policies_name_file_and_field(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text("name: p\nsteps: {INTERN: {min_episodes: 0}}\n")
    with pytest.raises(InputError, match=r"p\.yaml: steps\.INTERN\.min_episodes"):
        load_policy(path)
    path.write_text("name: p\nsurprise: 1\n")
    with pytest.raises(InputError, match="surprise"):
        load_policy(path)


def test_the_window_of_the_rates_is_never_below_what_is_asked() -> None:
    criteria = Criteria(
        min_episodes=50, max_intervention_rate=0, min_constitutional_score=1, latest=30
    )
    assert criteria.considered == 50
