"""What was rehearsed is said to be, and earns nothing unless the policy says so."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from graduation_support import START, fill, passing, work

from grindstone.errors import RefusedError
from grindstone.graduation import GraduationService
from grindstone.graduation.audit.trail import to_html, to_markdown
from grindstone.graduation.decisions.edge_cases import EdgeCase
from grindstone.graduation.evidence.readiness import Readiness
from grindstone.graduation.rules.policy import ExamRule, Policy
from grindstone.graduation.words import readiness_markdown
from grindstone.records import Episode, Outcome, Purpose

Make = Callable[..., GraduationService]
FREE = ExamRule(required=False)


async def test_rehearsals_do_not_count_and_are_told_of(service_at: Make) -> None:
    service = service_at(Policy(name="p", exam=FREE))
    await fill(service, 9)
    await fill(service, 6, first=50, rehearsal=True)
    found = await service.calculate_readiness_score("ada")
    assert (found["episode_count"], found["rehearsal_count"]) == (9, 6)
    said = "6 of 15 episodes are rehearsals, played by the offline stand-in"
    assert said in found["recommendation"]
    assert "They do not count." in found["recommendation"]
    with pytest.raises(RefusedError, match=r"1 more completed episodes"):
        await service.promote_agent("ada", "INTERN", "Grace")
    trail = await service.trail("ada")
    assert (trail.total_episodes, trail.rehearsals) == (9, 6)
    assert f"> **{said}" in to_markdown(trail)
    assert said in to_html(trail, plots=False)
    assert said in (await service.review()).decisions[0].reason


async def test_an_agent_with_nothing_but_rehearsals(service_at: Make) -> None:
    service = service_at()
    await fill(service, 12, rehearsal=True)
    found = await service.calculate_readiness_score("ada")
    assert (found["episode_count"], found["score"]) == (0, 0.0)
    assert "12 of 12 episodes are rehearsals" in found["recommendation"]


async def test_a_policy_may_count_them_and_still_says_so(service_at: Make) -> None:
    service = service_at(Policy(name="p", exam=FREE, rehearsals=True))
    await fill(service, 9)
    await fill(service, 3, first=50, rehearsal=True)
    found = await service.calculate_readiness_score("ada")
    assert (found["episode_count"], found["ready"]) == (12, True)
    note = "3 of 12 episodes are rehearsals, played by the offline stand-in"
    assert note in found["recommendation"]
    await service.promote_agent("ada", "INTERN", "Grace")
    kept = service.registry.chain.events()[-1].evidence["readiness"]
    assert isinstance(kept, dict)
    assert note in str(kept["rehearsal_note"])
    told = {"recommendation": found["recommendation"]}
    assert readiness_markdown(Readiness.model_validate(kept | told)).count(note) == 1


async def test_a_tasks_own_solution_is_not_the_agent(service_at: Make) -> None:
    service = service_at()
    ledger = service.registry.ledger
    rows = [
        Episode(
            episode_id=f"ep-{profile}",
            run_key="r",
            agent_id="ada",
            purpose=Purpose.GRIND,
            task_id="t",
            profile=profile,
            outcome=Outcome.PASSED,
            started_at=START,
            ended_at=START,
        )
        for profile in ("oracle", "nop", "strands")
    ]
    ledger.append(rows, run_key="r")
    found = await service.calculate_readiness_score("ada")
    assert (found["episode_count"], found["rehearsal_count"]) == (1, 2)


@pytest.mark.parametrize("counts", [False, True])
async def test_an_exam_taken_as_a_rehearsal(
    service_at: Make, edge_task: Path, counts: bool
) -> None:
    async def rehearsed(agent_id: str, cases: Sequence[EdgeCase]) -> list[Episode]:
        taken = await passing()(agent_id, cases)
        return [
            each.model_copy(update={"rehearsal": True})
            for each in taken
            if isinstance(each, Episode)
        ]

    service = service_at(Policy(name="p", rehearsals=counts), examiner=rehearsed)
    await fill(service, 12)
    await service.record_episode(**work(99, agent_id="bob", success=False))
    await service.add_edge_case("ep-99", edge_task, added_by="Grace")
    assert (await service.run_graduation_exam("ada"))["rehearsal"]
    if counts:
        assert (await service.promote_agent("ada", "INTERN", "Grace"))["new_maturity"] == "INTERN"
        return
    with pytest.raises(RefusedError, match="passed as a rehearsal, which does not count"):
        await service.promote_agent("ada", "INTERN", "Grace")
