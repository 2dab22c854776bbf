"""The summarising conversation manager, seen from the wire."""

from typing import Any

import pytest
from agents_script import Service, brief, terminus, text, use

from grindstone.agents import solver_for
from grindstone.llm.messages import Model
from grindstone.records import StepKind, StopReason
from grindstone.sandbox import Sandbox
from grindstone.settings import Profile

pytestmark = pytest.mark.docker


@pytest.fixture
def kind() -> str:
    return "docker"


def check_shape(request: dict[str, Any]) -> None:
    """What the API asks of a conversation."""
    messages = request["messages"]
    roles = [message["role"] for message in messages]
    assert roles == [("user", "assistant")[i % 2] for i in range(len(roles))]
    assert roles[-1] == "user"
    assert messages[0]["content"][0]["text"].find("Do the task.") >= 0
    asked: list[str] = []
    for message in messages:
        given = [b["tool_use_id"] for b in message["content"] if b["type"] == "tool_result"]
        assert given == asked
        asked = [b["id"] for b in message["content"] if b["type"] == "tool_use"]
    assert asked == []


@pytest.mark.catalogue
@pytest.mark.parametrize("context", [1_500, 2_500, 4_000])
async def test_older_turns_become_one_summary(
    service: Service, model: Model, sandbox: Sandbox, context: int
) -> None:
    def work(number: int) -> list[dict[str, Any]]:
        return [
            text(f"Turn {number}."),
            use("bash", f"a{number}", command=f"echo out-{number}; seq 1 300"),
            use("bash", f"b{number}", command="true"),
        ]

    service.script = [*(work(n) for n in range(12)), [text("done")]]
    trajectory = await solver_for(Profile.STRANDS).solve(
        brief(effort={"context_tokens": context}), sandbox, model
    )
    assert trajectory.stop_reason is StopReason.SUBMITTED
    assert len(service.requests) == 13
    for request in service.requests:
        check_shape(request)
    assert service.summaries
    last = service.requests[-1]["messages"]
    assert service.summary in last[0]["content"][1]["text"]
    assert len(last[0]["content"]) == 2  # one summary, however often it was renewed
    # The latest exchange is always kept.
    assert last[-2]["content"][0]["text"] == "Turn 11."
    steps = [step for step in trajectory.steps if step.kind is StepKind.SUMMARY]
    assert len(steps) == len(service.summaries)
    assert all(step.usage is not None and step.usage.output_tokens == 7 for step in steps)
    assert trajectory.usage.output_tokens == 7 * (13 + len(steps))
    # The first summary is told of the first turns, each later one of the summary before.
    told = [request["messages"][0]["content"][0]["text"] for request in service.summaries]
    assert "out-0" in told[0]
    assert all(service.summary in text for text in told[1:])
    assert all("Do the task." in text for text in told)


@pytest.mark.catalogue
async def test_a_short_conversation_is_left_alone(
    service: Service, model: Model, sandbox: Sandbox
) -> None:
    service.script = [*([use("bash", command="true")] for _ in range(3)), [text("done")]]
    await solver_for(Profile.STRANDS).solve(brief(), sandbox, model)
    assert service.summaries == []
    assert len(service.requests[-1]["messages"]) == 7


@pytest.mark.catalogue
async def test_an_empty_summary_loses_nothing_it_could_keep(
    service: Service, model: Model, sandbox: Sandbox
) -> None:
    service.summary = " "
    service.script = [
        *([use("bash", command=f"echo out-{n}; seq 1 500")] for n in range(5)),
        [text("done")],
    ]
    trajectory = await solver_for(Profile.STRANDS).solve(
        brief(effort={"context_tokens": 2_000}), sandbox, model
    )
    assert trajectory.stop_reason is StopReason.SUBMITTED
    for request in service.requests:
        check_shape(request)
    assert "out-0" in service.requests[-1]["messages"][0]["content"][1]["text"]


@pytest.mark.catalogue
async def test_terminus_is_summarised_too_and_tokens_count_for_the_limit(
    service: Service, model: Model, sandbox: Sandbox
) -> None:
    service.script = [*(terminus(("seq 1 300\n", 0.2)) for _ in range(10))]
    trajectory = await solver_for(Profile.TERMINUS2_LEGACY).solve(
        brief(effort={"context_tokens": 2_000, "max_tokens": 6_000}), sandbox, model
    )
    assert trajectory.stop_reason is StopReason.TOKEN_LIMIT
    assert service.summaries
    for request in service.requests:
        check_shape(request)
    assert trajectory.usage.total_tokens >= 6_000
