import asyncio
import json
import math
from types import SimpleNamespace

import pytest
from support.model_service import serving

from grindstone.competency import (
    CompetencyRouter,
    CompetencyTracker,
    KeywordClassifier,
    LLMDomainClassifier,
    MemberProfile,
    NotAllowedError,
    RoutingRules,
    TagClassifier,
)
from grindstone.competency.domains import DomainGuess, TaskText
from grindstone.competency.routing import Candidate, Trusted, decide
from grindstone.errors import Cause, InfrastructureError, InputError
from grindstone.ledger import Ledger
from grindstone.ledger.tables.autonomy import RoutingRow
from grindstone.llm import open_models

TASK = "optimize this slow SQL query"


class Agent:
    """Answers, and keeps what it was asked and with which model."""

    def __init__(self, name, answer="PASS", model="small"):
        self.name, self.answer, self.model = name, answer, model
        self.asked = []

    def run(self, task):
        self.asked.append((task, self.model))
        if isinstance(self.answer, Exception):
            raise self.answer
        return SimpleNamespace(content=f"{self.name}: {self.answer}")


def passes(task, response):
    return "PASS" in str(response.content)


def team(alice="PASS", bob="PASS", **options):
    agents = Agent("alice", alice), Agent("bob", bob)
    seeds = {"python": 9, "sql": 4}, {"python": 5, "sql": 8}
    members = [
        MemberProfile(agent, CompetencyTracker(base=10, seed=seed))
        for agent, seed in zip(agents, seeds, strict=True)
    ]
    router = CompetencyRouter(members, base=10, domains=["python", "sql"], **options)
    return router, members


def test_the_documented_example():
    router, (_, bob) = team(strong_model="large")
    response, decision = router.run(TASK, success_evaluator=passes)
    assert response.content == "bob: PASS"
    assert (decision.domain, decision.domain_method) == ("sql", "keyword")
    assert (decision.member_name, decision.competency, decision.deficit) == ("bob", 8, 2)
    assert (decision.policy, decision.model_tier) == ("proceed", "standard")
    assert decision.success is True
    assert bob.tracker.competency("sql") == pytest.approx(0.7 * 8 + 0.3 * 10)
    assert bob.agent.asked == [(TASK, "small")]


async def test_it_routes_within_an_event_loop_too():
    router, (_, bob) = team()
    response, decision = await router.arun(TASK, passes)
    assert decision.member_name == "bob"
    assert response.content == "bob: PASS"
    assert router.run(TASK, passes)[1].success is True
    assert bob.tracker.evidence("sql") == 2


def test_async_members_are_waited_for():
    async def eve(task):
        await asyncio.sleep(0)
        return task.upper()

    member = MemberProfile(eve, CompetencyTracker(base=10, seed={"sql": 9}))
    response, decision = CompetencyRouter([member], 10, ["sql"]).run("a query in sql")
    assert response == "A QUERY IN SQL"
    assert decision.member_name == "eve"
    assert decision.success is None


def test_outcomes_move_who_is_asked():
    router, _ = team(bob="sorry")
    names = [router.run(TASK, passes)[1].member_name for _ in range(3)]
    assert names[0] == "bob"
    assert names[-1] == "alice"


def test_an_exception_is_a_failure_and_infrastructure_is_none():
    router, (_, bob) = team(bob=ValueError("no such table"))
    with pytest.raises(ValueError, match="no such table"):
        router.run(TASK, passes)
    assert bob.tracker.competency("sql") == pytest.approx(0.7 * 8)
    router, (_, bob) = team(bob=InfrastructureError(Cause.OVERLOADED, "later"))
    with pytest.raises(InfrastructureError):
        router.run(TASK, passes)
    assert bob.tracker.evidence("sql") == 0


@pytest.mark.parametrize("verdict", [math.nan, 1.5, -0.1, None, False, 0.2])
def test_an_evaluator_that_says_nothing_usable_means_a_failure(verdict):
    router, (_, bob) = team()
    _, decision = router.run(TASK, lambda task, response: verdict)
    assert decision.success is False
    assert bob.tracker.competency("sql") < 8


def test_an_evaluator_that_raises_loses_no_response():
    router, _ = team()
    response, decision = router.run(TASK, lambda task, response: response.nothing)
    assert response.content == "bob: PASS"
    assert decision.success is False
    assert "AttributeError" in decision.note


def test_a_grade_counts_as_far_as_it_goes():
    router, (_, bob) = team()
    router.run(TASK, lambda task, response: 0.6)
    assert bob.tracker.competency("sql") == pytest.approx(0.7 * 8 + 0.3 * 6)


def test_members_of_one_name_are_refused():
    tracker = CompetencyTracker(base=10)
    with pytest.raises(InputError, match="more than one is named alice"):
        CompetencyRouter([MemberProfile(Agent("alice"), tracker)] * 2, 10, ["sql"])
    twins = [MemberProfile(lambda task: task, tracker, name) for name in ("one", "two")]
    assert CompetencyRouter(twins, 10, ["sql"]).members.keys() == {"one", "two"}
    with pytest.raises(InputError, match="base"):
        CompetencyRouter(twins, 9, ["sql"])
    with pytest.raises(InputError, match="at least one"):
        CompetencyRouter([], 10, ["sql"])


@pytest.mark.parametrize(
    ("level", "policy", "tier"),
    [
        (2.6, "escalate", "strong"),
        (2.7, "review", "strong"),
        (5.3, "review", "strong"),
        (5.4, "proceed", "strong"),  # 3.6 of 9 is a deficit of 0.4
        (5.41, "proceed", "standard"),
        (9, "proceed", "standard"),
    ],
)
def test_policy_and_tier_follow_the_ratio(level, policy, tier):
    found = decide(
        "t",
        DomainGuess("sql", 1.0, "tag"),
        [Candidate(member_name="a", competency=level)],
        RoutingRules(),
        base=9,
    )
    assert (found.policy, found.model_tier) == (policy, tier)


def weak(seed, **options):
    agent = Agent("ann")
    member = MemberProfile(agent, CompetencyTracker(base=10, seed={"sql": seed}))
    return CompetencyRouter([member], 10, ["sql"], **options), agent


def test_escalated_tasks_are_not_run_unless_allowed():
    router, agent = weak(2)
    with pytest.raises(NotAllowedError) as refused:
        router.run(TASK, passes)
    assert refused.value.decision.policy == "escalate"
    assert agent.asked == []
    router, agent = weak(2, rules=RoutingRules(allow_escalated=True))
    assert router.run(TASK, passes)[1].success is True


def test_a_reviewer_decides_and_without_one_the_decision_says_so():
    seen = []
    router, agent = weak(5, approve=lambda task, decision: seen.append(decision) or False)
    with pytest.raises(NotAllowedError, match="reviewer"):
        router.run(TASK, passes)
    assert agent.asked == []
    assert seen[0].policy == "review"

    async def yes(task, decision):
        return True

    assert "approved" in weak(5, approve=yes)[0].run(TASK, passes)[1].note
    assert "nobody" in weak(5)[0].run(TASK, passes)[1].note


def test_no_stronger_model_is_claimed_where_there_is_none():
    _, decision = weak(5.9)[0].run(TASK, passes)
    assert decision.model_tier == "standard"
    assert "no stronger model to give" in decision.note


def test_the_strong_model_is_lent_for_one_task():
    router, agent = weak(5.9, strong_model="large")
    router.run(TASK, passes)
    assert agent.asked == [(TASK, "large")]
    assert agent.model == "small"
    got = []
    plain = MemberProfile(lambda task, model=None: got.append(model), CompetencyTracker(base=10))
    CompetencyRouter([plain], 10, ["sql"], "large").run(TASK)
    assert got == ["large"]
    bare = MemberProfile(lambda task: task, CompetencyTracker(base=10))
    _, decision = CompetencyRouter([bare], 10, ["sql"], "large").run(TASK)
    assert "no stronger model" in decision.note


def test_exploration_gives_the_unproven_a_turn():
    router, members = team(rules=RoutingRules(exploration=0.6))
    members[1].tracker.record("sql", True)
    for _ in range(8):
        members[1].tracker.record("sql", True)
    decision = router.decide(TASK)
    assert decision.member_name == "bob"
    members[1].tracker.record("sql", False)
    decision = router.decide(TASK)
    assert decision.member_name == "alice"
    assert decision.explored
    assert [each.member_name for each in decision.candidates] == ["alice", "bob"]


def test_a_task_of_unknown_domain_is_reviewed_and_moves_nobodys_record():
    router, members = team()
    _, decision = router.run("write a sonnet", passes)
    assert (decision.domain, decision.domain_method, decision.policy) == (
        "unknown",
        "none",
        "review",
    )
    assert decision.member_name in {"alice", "bob"}
    assert [m.tracker.evidence(d) for m in members for d in ("sql", "python")] == [0] * 4
    assert router.run("write a sonnet", passes, tags=["Python"])[1].domain_method == "tag"


def test_decisions_are_kept_with_their_candidates(tmp_path):
    router, _ = team(ledger=Ledger(tmp_path))
    decision = router.decide(TASK)
    (row,) = Ledger(tmp_path).rows(RoutingRow)
    assert row.decision_id == decision.decision_id
    assert row.candidates.keys() == {"alice", "bob"}


def test_a_level_too_low_for_the_task_asks_for_a_review(tmp_path):
    held = Trusted("INTERN", "sales", alone=False)
    router, _ = team(ledger=Ledger(tmp_path), levels=lambda decision: held)
    alone, _ = team(levels=lambda decision: held._replace(alone=True))
    assert alone.decide(TASK).policy == "proceed"
    decision = router.decide(TASK)
    assert decision.policy == "review"
    assert "INTERN in sales is too low" in decision.why
    (row,) = Ledger(tmp_path).rows(RoutingRow)
    assert (row.policy, row.level, row.scope) == ("review", "INTERN", "sales")


def test_a_workspace_is_no_function():
    member = MemberProfile("skillbench", CompetencyTracker(base=10, seed={"sql": 9}))
    router = CompetencyRouter([member], 10, ["sql"])
    assert router.decide(TASK).member_name == "skillbench"
    with pytest.raises(InputError, match="workspace"):
        router.run(TASK)
    assert member.tracker.evidence("sql") == 0


async def test_keywords_must_be_clear():
    method = KeywordClassifier(["log-analysis", "sql"], {"sql": ["select", "join tables"]})
    assert await method.classify(TaskText("SELECT one")) == ("sql", 1.0, "keyword")
    assert (await method.classify(TaskText("join the tables"))).domain == "sql"
    assert (await method.classify(TaskText("an analysis of sql"))).confidence < 1
    assert (await method.classify(TaskText("a poem"))).domain is None
    with pytest.raises(InputError, match="no domain"):
        KeywordClassifier(["sql"], {"law": ["court"]})
    assert (await TagClassifier(["sql"]).classify(TaskText("x", ("SQL",)))).domain == "sql"


def answering(domain, confidence):
    return json.dumps({"domain": domain, "confidence": confidence})


@pytest.mark.parametrize(
    ("said", "domain"),
    [
        (answering("sql", 0.9), "sql"),
        (answering("sql", 0.3), "unknown"),
        (answering("unknown", 0.9), "unknown"),
        (answering("law", 1), "unknown"),
        (answering("sql", 7), "unknown"),
        ('{"domain": "sql", "confidence": NaN}', "unknown"),
        ("sql, of course", "unknown"),
        ("[]", "unknown"),
    ],
)
async def test_a_models_guess_is_taken_only_when_it_is_sure(said, domain, tmp_path):
    async with serving() as service:
        service.content = [{"type": "text", "text": said}]
        environ = {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": service.url}
        async with open_models(run_key="r", journal_dir=tmp_path, environ=environ) as models:
            method = LLMDomainClassifier(models.get("claude-sonnet-5-5"), ["python", "sql"])
            member = MemberProfile(Agent("ann"), CompetencyTracker(base=10))
            router = CompetencyRouter([member], 10, ["python", "sql"], classifiers=[method])
            decision = await router.adecide("make the report faster")
    assert decision.domain == domain


async def test_the_rehearsal_classifies_offline(tmp_path):
    domains = ["version-control", "log-analysis"]
    async with open_models(run_key="r", journal_dir=tmp_path, environ={}) as models:
        method = LLMDomainClassifier(models.get("rehearsal"), domains, min_confidence=0.5)
        guess = await method.classify(TaskText("Rescue the commits of a deleted git branch."))
    assert guess.domain == "version-control"
