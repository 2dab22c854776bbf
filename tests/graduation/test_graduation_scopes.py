"""A level earned in a part of the work holds in that part alone."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from graduation_support import START, Clock, fill, work
from hypothesis import given
from hypothesis import strategies as st

from grindstone.errors import InputError, RefusedError
from grindstone.graduation import GraduationService
from grindstone.graduation.audit.chain import Chain
from grindstone.graduation.audit.evidence_check import check_evidence
from grindstone.graduation.audit.scope_levels import scope_levels
from grindstone.graduation.audit.standing import agent_of
from grindstone.graduation.audit.trail import to_html
from grindstone.graduation.audit.verify import verify
from grindstone.graduation.rules.levels import Level
from grindstone.graduation.rules.people import Approver, Approvers
from grindstone.graduation.rules.policy import (
    DemotionRule,
    ExamRule,
    Policy,
    PromotionStep,
    load_policies,
)
from grindstone.graduation.rules.scope import Scope, Subject

Make = Callable[..., GraduationService]
STEP = PromotionStep(
    min_episodes=10, max_intervention_rate=0.0, min_constitutional_score=0.7, min_success_rate=0.9
)
TOWNS = Policy(
    name="towns",
    exam=ExamRule(required=False),
    steps={Level.INTERN: STEP, Level.SUPERVISED: STEP},
    scopes={"woodstock": Scope(tags=("woodstock",)), "london": Scope(tags=("london",))},
)
WOODSTOCK, LONDON = Subject(tags=("woodstock",)), Subject(tags=("london",))


async def two_towns(service: GraduationService) -> None:
    """Good work in Woodstock beside failed and corrected work in London."""
    await fill(service, 12, tags=["woodstock"])
    await fill(service, 12, first=20, tags=["london"], success=False, human_intervention_count=1)


def level(service: GraduationService, subject: Subject) -> Level:
    return service.registry.agent_for("ada", subject).level


async def test_good_work_in_one_town_opens_no_other(service_at: Make) -> None:
    service = service_at(TOWNS)
    await two_towns(service)
    with pytest.raises(RefusedError, match="ada is not promoted to INTERN"):
        await service.promote_agent("ada", "INTERN", "Grace")
    with pytest.raises(RefusedError, match="ada in london is not promoted"):
        await service.promote_agent("ada", "INTERN", "Grace", scope="london")
    change = await service.promote_agent("ada", "INTERN", "Grace", scope="woodstock")
    assert change["scope"] == "woodstock"
    assert level(service, WOODSTOCK) is Level.INTERN
    assert level(service, LONDON) is Level.STUDENT
    assert level(service, Subject()) is Level.STUDENT
    # Kept under the level that held for it then.
    registry = service.registry
    await service.record_episode(**work(70, tags=["woodstock"]))
    await service.record_episode(**work(71, tags=["london"]))
    assert [registry.episode(f"ep-{n}").maturity for n in (70, 71)] == ["INTERN", "STUDENT"]
    assert verify(registry.chain).intact
    assert check_evidence(registry, registry.chain.events()).intact


async def test_a_policy_that_looks_at_a_part_gives_a_level_in_that_part(service_at: Make) -> None:
    part = Policy(
        name="woodstock",
        scope=Scope(tags=("woodstock",)),
        exam=ExamRule(required=False),
        steps={Level.INTERN: STEP},
    )
    service = service_at(part)
    await two_towns(service)
    change = await service.promote_agent("ada", "INTERN", "Grace")
    assert (change["scope"], service.registry.agent("ada").level) == ("woodstock", Level.INTERN)
    assert level(service, WOODSTOCK) is Level.INTERN
    assert level(service, LONDON) is Level.STUDENT
    trail = await service.get_graduation_audit_trail("ada")
    assert (trail["current_maturity"], trail["scope"]) == ("INTERN", "woodstock")
    told = [(each["scope"], each["level"]) for each in trail["scopes"]]
    assert told == [("woodstock", "INTERN"), ("", "STUDENT")]
    assert "INTERN in woodstock" in to_html(await service.trail("ada"), plots=False)


async def test_a_level_without_a_scope_holds_everywhere_and_is_spelled_as_before(
    service_at: Make,
) -> None:
    service = service_at(TOWNS)
    await service.enrol_agent("ada", "INTERN", by="Grace", second="Linus", reason="t", since=START)
    assert {level(service, each) for each in (WOODSTOCK, LONDON, Subject())} == {Level.INTERN}
    (event,) = service.registry.chain.events()
    assert "scope" not in json.loads(event.file())


async def test_failures_cost_the_level_where_they_happen(service_at: Make, clock: Clock) -> None:
    service = service_at(TOWNS)
    for scope in ("woodstock", "london"):
        await service.enrol_agent(
            "ada", "SUPERVISED", by="Grace", second="Linus", reason="t", since=START, scope=scope
        )
    clock.now = START + timedelta(hours=1)
    for number in range(3):
        await service.record_episode(**work(number, tags=["london"], success=False))
        await service.record_episode(**work(10 + number, tags=["woodstock"]))
    assert level(service, LONDON) is Level.INTERN
    assert level(service, WOODSTOCK) is Level.SUPERVISED


async def test_a_review_looks_at_every_scope(service_at: Make) -> None:
    clerk = TOWNS.model_copy(update={"approval": "none", "promotion": "apply"})
    service = service_at(clerk)
    await two_towns(service)
    found = await service.review()
    said = {each.scope: (each.action, each.level) for each in found.decisions}
    assert said == {
        "": ("none", Level.STUDENT),
        "london": ("none", Level.STUDENT),
        "woodstock": ("promoted", Level.INTERN),
    }


async def test_a_review_takes_the_level_of_one_scope(service_at: Make, clock: Clock) -> None:
    strict = TOWNS.model_copy(
        update={"demotion": DemotionRule(on_lost_criteria=False, on_critical_breach=False)}
    )
    service = service_at(strict)
    await service.enrol_agent(
        "ada", "INTERN", by="Grace", second="Linus", reason="t", since=START, scope="london"
    )
    clock.now = START + timedelta(hours=1)
    await fill(service, 3, tags=["london"], success=False)
    found = await service.review()
    assert [each.scope for each in found.decisions if each.action == "demoted"] == ["london"]
    assert level(service, LONDON) is Level.STUDENT


async def test_a_person_lowers_one_scope(service_at: Make) -> None:
    service = service_at(TOWNS)
    await two_towns(service)
    await service.promote_agent("ada", "INTERN", "Grace", scope="woodstock")
    with pytest.raises(RefusedError, match="ada in london is not demoted"):
        await service.demote_agent("ada", "STUDENT", "Grace", "a complaint", scope="london")
    await service.demote_agent("ada", "STUDENT", "Grace", "a complaint", scope="woodstock")
    assert level(service, WOODSTOCK) is Level.STUDENT


async def test_answers_and_exams_are_for_the_scope_they_name(
    service_at: Make, edge_task: Path, clock: Clock
) -> None:
    examined = TOWNS.model_copy(update={"exam": ExamRule()})
    service = service_at(examined)
    await two_towns(service)
    await service.record_episode(**work(99, agent_id="bob", success=False, tags=["woodstock"]))
    await service.add_edge_case("ep-99", edge_task, added_by="Grace")
    elsewhere = await service.run_graduation_exam("ada", scope="london")
    assert (elsewhere["cases"], elsewhere["passed"]) == ([], False)
    await service.run_graduation_exam("ada")  # for all its work
    with pytest.raises(RefusedError, match="no exam for INTERN"):
        await service.promote_agent("ada", "INTERN", "Grace", scope="woodstock")
    taken = await service.run_graduation_exam("ada", scope="woodstock")
    assert (taken["passed"], taken["scope"]) == (True, "woodstock")
    clock.now = START + timedelta(hours=3)
    await service.answer_proposal("ada", "INTERN", approved=False, by="Eve", scope="woodstock")
    with pytest.raises(RefusedError, match="Eve refused it"):
        await service.promote_agent("ada", "INTERN", "Grace", scope="woodstock")
    await service.answer_proposal("ada", "INTERN", approved=True, by="Eve", scope="woodstock")
    await service.promote_agent("ada", "INTERN", "Grace", scope="woodstock")


async def test_a_scope_drawn_wider_since_does_not_widen_the_level(service_at: Make) -> None:
    service = service_at(TOWNS)
    await two_towns(service)
    await service.promote_agent("ada", "INTERN", "Grace", scope="woodstock")
    wide = TOWNS.model_copy(update={"scopes": {"woodstock": Scope()}})
    later = service_at(wide)
    assert level(later, WOODSTOCK) is Level.INTERN
    assert level(later, LONDON) is Level.STUDENT
    gone = service_at(TOWNS.model_copy(update={"scopes": {}}))
    assert level(gone, WOODSTOCK) is Level.STUDENT


async def test_where_scopes_overlap_the_lowest_level_of_their_own_holds(service_at: Make) -> None:
    both = {**TOWNS.scopes, "tractors": Scope(categories=("tractors",))}
    service = service_at(TOWNS.model_copy(update={"scopes": both}))
    for scope, given_level in (("woodstock", "SUPERVISED"), ("tractors", "INTERN")):
        await service.enrol_agent(
            "ada", given_level, by="Grace", second="Linus", reason="t", since=START, scope=scope
        )
    assert level(service, WOODSTOCK) is Level.SUPERVISED
    assert level(service, Subject("tractors", ("woodstock",))) is Level.INTERN


async def test_a_level_for_everything_reaches_a_scope_until_it_was_lowered_there(
    service_at: Make,
) -> None:
    service = service_at(TOWNS)
    await service.enrol_agent("ada", "INTERN", by="Grace", second="Linus", reason="t", since=START)
    await service.demote_agent("ada", "STUDENT", "Grace", "a complaint", scope="london")
    assert (level(service, LONDON), level(service, WOODSTOCK)) == (Level.STUDENT, Level.INTERN)


def test_a_person_may_answer_for_a_scope_alone() -> None:
    people = Approvers(approvers=(Approver(name="Grace", work_scopes=("wood*",)),))
    people.person("Grace", "approve", "ada", scope="woodstock")
    for scope in ("london", ""):
        with pytest.raises(InputError, match="does not answer for ada in"):
            people.person("Grace", "approve", "ada", scope=scope)


async def test_a_scope_nobody_knows_is_refused_with_those_there_are(service_at: Make) -> None:
    service = service_at(TOWNS)
    with pytest.raises(InputError, match=r"has no 'toronto'.*woodstock, london"):
        await service.promote_agent("ada", "INTERN", "Grace", scope="toronto")


def test_bundled_policies_for_a_part_of_the_work_give_levels_in_it() -> None:
    named = {policy.name: policy.holds_in for policy in load_policies()}
    assert named == {
        "default": "",
        "medscribe": "medscribe",
        "tax-multi-province": "",
        "woodstock": "woodstock",
    }


WORDS = st.sampled_from(["woodstock", "london", "tax", "filing", ""])
SUBJECTS = st.builds(
    Subject,
    category=WORDS,
    tags=st.lists(WORDS, max_size=3).map(tuple),
    topics=st.lists(WORDS, max_size=2).map(tuple),
    title=WORDS,
    metadata=st.dictionaries(st.sampled_from(["capability", "province"]), WORDS, max_size=2),
)
SCOPES = st.builds(
    Scope,
    categories=st.lists(WORDS, max_size=2).map(tuple),
    capabilities=st.lists(WORDS, max_size=2).map(tuple),
    tags=st.lists(WORDS, max_size=2).map(tuple),
    title=st.sampled_from([None, "tax", "^lon"]),
    metadata=st.dictionaries(st.just("province"), WORDS, max_size=1),
)


def plainly(scope: Scope, subject: Subject) -> bool:
    """A scope read word by word."""
    import re

    meta: dict[str, Any] = dict(subject.metadata)
    used = meta.get("capability") or subject.category
    return (
        (not scope.categories or subject.category in scope.categories)
        and (not scope.capabilities or used in scope.capabilities)
        and set(scope.tags) <= set(subject.tags)
        and (scope.title is None or re.search(scope.title, subject.title) is not None)
        and all(meta.get(name, "") == value for name, value in scope.metadata.items())
    )


@given(SCOPES, SUBJECTS)
def test_work_belongs_to_a_scope_as_episodes_do(scope: Scope, subject: Subject) -> None:
    assert scope.holds(subject) is plainly(scope, subject)


def test_the_trail_of_a_home_without_scopes_reads_as_it_was(tmp_path: Path) -> None:
    service = GraduationService(tmp_path, policies=[Policy(name="p")])
    service.sync.enrol_agent("ada", "INTERN", by="Grace", second="Linus", reason="t")
    kept = Chain(tmp_path).path(1).read_bytes()
    assert Chain(tmp_path).events()[0].file() == kept
    assert agent_of(Chain(tmp_path).events(), "ada", "any").level is Level.INTERN
    assert pl.DataFrame(service.sync.get_graduation_audit_trail("ada")["scopes"]).is_empty()


@pytest.mark.parametrize(
    "scopes",
    [
        {},
        {"oxford": Scope(tags=("woodstock",))},
        {"woodstock": Scope(tags=("woodstock",), categories=("tractors",))},
    ],
)
async def test_a_level_that_was_taken_stays_taken_however_the_scope_is_named_or_drawn_since(
    service_at: Make, scopes: dict[str, Scope]
) -> None:
    service = service_at(TOWNS)
    await service.enrol_agent("ada", "INTERN", by="Grace", second="Linus", reason="t", since=START)
    await service.demote_agent("ada", "STUDENT", "Grace", "a complaint", scope="woodstock")
    later = service_at(TOWNS.model_copy(update={"scopes": scopes}))
    assert (level(later, WOODSTOCK), level(later, LONDON)) == (Level.STUDENT, Level.INTERN)
    assert scope_levels(later.registry, "ada")[0].level is Level.STUDENT
    if "oxford" in scopes:
        await fill(later, 12, first=40, tags=["woodstock"], maturity="INTERN")
        await later.promote_agent("ada", "SUPERVISED", "Grace", scope="oxford")
        assert level(later, WOODSTOCK) is Level.SUPERVISED
