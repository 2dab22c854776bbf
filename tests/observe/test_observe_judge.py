"""The judge over HTTP, its calibration, and the patterns in its verdicts."""

import inspect
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.model_service import QUICK, Service, serving

from grindstone.errors import POLICIES, Cause, InfrastructureError, InputError
from grindstone.llm import open_models
from grindstone.llm.messages import CallSite, Model
from grindstone.observe import (
    JudgedTask,
    JudgeVerdict,
    UnlabelledObservation,
    find_patterns,
    judge,
    observe_labelled,
    observe_unlabelled,
)
from grindstone.observe.calibration import calibrate
from grindstone.records import (
    FailureClass,
    Role,
    Step,
    StepKind,
    StopReason,
    TestResult,
    ToolCall,
    ToolOutput,
    Trajectory,
    Verdict,
    utc_now,
)
from grindstone.settings import FeedbackLevel

SITE = CallSite(role=Role.JUDGE, scope="e1", turn=0)
GOOD = {"score": 4, "category": "Log Analysis", "outcome": "It  looped.", "failure_reason": "r"}


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with serving() as service:
        yield service


@pytest.fixture
async def model(service: Service, tmp_path: Path) -> AsyncIterator[Model]:
    environ = {"ANTHROPIC_API_KEY": "not-a-key", "ANTHROPIC_BASE_URL": service.url}
    async with open_models(
        run_key="judge", journal_dir=tmp_path / "journal", environ=environ, patience=QUICK
    ) as models:
        yield models.get("claude-judge-1")


def trajectory() -> Trajectory:
    step = Step(
        index=0,
        kind=StepKind.AGENT,
        calls=(ToolCall(call_id="1", name="bash", arguments={"command": "grep x log"}),),
        outputs=(ToolOutput(call_id="1", content="nothing", exit_code=1),),
        at=utc_now(),
    )
    return Trajectory(steps=(step,), stop_reason=StopReason.SUBMITTED, submission="done")


def observation() -> UnlabelledObservation:
    return observe_unlabelled(
        trajectory(), task_id="t1", category="logs", instruction="Count the errors."
    )


def says(service: Service, answer: object) -> None:
    service.content = [
        {"type": "text", "text": answer if isinstance(answer, str) else json.dumps(answer)}
    ]


async def test_a_good_answer_is_read_and_tidied(model: Model, service: Service):
    says(service, GOOD)
    verdict = await judge(model, observation(), SITE)
    assert verdict == JudgeVerdict(
        score=4, category="log-analysis", outcome="It looped.", failure_reason="r"
    )
    assert "Role: judge" in json.dumps(service.bodies[0]["system"])


@pytest.mark.parametrize("fenced", ["```json\n{}\n```", "```\n{}\n```\n", "\n```JSON \n{}```"])
async def test_a_fence_around_the_answer_is_let_pass_where_a_service_ignores_the_schema(
    model: Model, service: Service, fenced: str
):
    says(service, fenced.replace("{}", json.dumps(GOOD)))
    assert (await judge(model, observation(), SITE)).score == 4
    assert len(service.bodies) == 1


async def test_from_seven_on_there_is_no_failure_reason(model: Model, service: Service):
    says(service, GOOD | {"score": 7})
    assert (await judge(model, observation(), SITE)).failure_reason == ""


@pytest.mark.parametrize(
    "answer",
    [
        "I think 7",
        "```json\n7\n```",
        "```json\n" + json.dumps(GOOD) + "\n``` or ```json\n{}\n```",
        "[]",
        GOOD | {"score": 11},
        GOOD | {"score": "7"},
        GOOD | {"score": True},
        GOOD | {"score": 6.5},
        GOOD | {"failure_reason": " "},
        GOOD | {"category": "--"},
        {"score": 3},
    ],
)
async def test_an_unusable_answer_is_asked_for_again_and_is_never_a_score(
    model: Model, service: Service, answer: object
):
    says(service, answer)
    with pytest.raises(InfrastructureError) as raised:
        await judge(model, observation(), SITE)
    assert raised.value.cause is Cause.JUDGE_UNUSABLE
    assert len(service.bodies) == POLICIES[Cause.JUDGE_UNUSABLE].tries
    assert "could not be used" in json.dumps(service.bodies[-1]["messages"][-1])


def test_unlabelled_observations_have_no_place_for_labels():
    fields = set(UnlabelledObservation.model_fields)
    assert not fields & {"reward", "score", "passed", "tests", "feedback", "verdict", "cycle"}
    assert not {"verdict", "episode", "reward"} & set(
        inspect.signature(observe_unlabelled).parameters
    )


def test_taking_the_labels_off_leaves_none():
    labelled = observe_labelled(
        trajectory(),
        Verdict(
            reward=0.4375,
            passed=False,
            tests=(TestResult(name="test_canary", status="failed"),),
            output="canary",
        ),
        level=FeedbackLevel.FULL,
        failure_class=FailureClass.TEST_FAIL,
        task_id="t1",
        category="logs",
        instruction="Count.",
    )
    bare = labelled.unlabelled()
    for text in (bare.to_markdown(), bare.model_dump_json(), bare.summary()):
        assert not any(label in text for label in ("canary", "0.4375", "test_fail", "reward"))


def test_calibration_of_known_scores():
    perfect = calibrate([10, 10, 0, 0], [True, True, False, False])
    assert (perfect.agreement, perfect.brier, perfect.auc, perfect.ece) == (1.0, 0.0, 1.0, 0.0)
    mixed = calibrate([8, 6, 6, 2], [True, False, True, False])
    assert mixed.agreement == 0.75
    assert mixed.auc == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    assert mixed.brier == pytest.approx((0.04 + 0.36 + 0.16 + 0.04) / 4)
    assert mixed.ece == pytest.approx((0.2 + 2 * 0.1 + 0.2) / 4)
    assert calibrate([3], [False]).auc is None


@pytest.mark.parametrize(("scores", "passed"), [([], []), ([1], []), ([11], [True])])
def test_calibration_refuses_what_it_cannot_compare(scores, passed):
    with pytest.raises(InputError):
        calibrate(scores, passed)


def judged(task: str, score: int, reason: str, category: str = "build") -> JudgedTask:
    return JudgedTask(
        task_id=task,
        verdict=JudgeVerdict(score=score, category=category, outcome="o", failure_reason=reason),
    )


def test_a_pattern_needs_two_tasks_and_begins_with_the_lowest():
    found = find_patterns(
        [
            judged("a", 6, "Missing compiler gfortran in /app/src"),
            judged("a", 5, "missing compiler gfortran"),
            judged("b", 3, "The compiler gfortran was missing (3 times)"),
            judged("c", 2, "ran out of disk"),
            judged("d", 1, "tests timed out", "debug"),
            judged("e", 0, "timed out tests", "debug"),
            judged("f", 4, "missing compiler gfortran", "debug"),
            judged("g", 8, ""),
        ]
    )
    assert [(p.category, p.task_ids, p.lowest_score) for p in found] == [
        ("debug", ("e", "d"), 0),
        ("build", ("b", "a"), 3),
    ]


def test_one_task_failing_often_is_no_pattern():
    assert find_patterns([judged("a", n, "same reason") for n in range(5)]) == ()
