"""Programs as people write them in an hour, and such as go wrong: what is told of them is true."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.model_service import QUICK, Service, says
from support.sandboxes import Start

from grindstone.agents.agent_file import AgentFile, quick_agent
from grindstone.agents.command_agent import CommandSolver
from grindstone.agents.protocol import Brief, Effort
from grindstone.errors import Cause, InfrastructureError
from grindstone.llm import Models, open_models
from grindstone.records import StopReason, Trajectory

pytestmark = [
    pytest.mark.bubblewrap,
    pytest.mark.parametrize("provider", ["bubblewrap"], indirect=True),
]

ASK = r"""
curl -sS "$ANTHROPIC_BASE_URL/v1/messages" -H "x-api-key: $ANTHROPIC_API_KEY" \
  -H "content-type: application/json" -d @-
"""
BASH = r"""
turns='[{"role": "user", "content": "begin"}]'
while :; do
  asked='{model: env.ANTHROPIC_MODEL, max_tokens: 100, messages: $t}'
  answer=$(jq -n --argjson t "$turns" "$asked" | bash /root/.agent/ask.sh) || exit 1
  command=$(jq -r '.content[] | .input.command // empty' <<< "$answer")
  [ -n "$command" ] || break
  shown=$(bash -c "$command" 2>&1)
  turns=$(jq -n --argjson t "$turns" --argjson a "$answer" --arg shown "$shown" '
    $t + [{role: "assistant", content: $a.content}, {role: "user", content: [
      {type: "tool_result", tool_use_id: $a.content[0].id, content: $shown}]}]')
done
"""
DAEMON = r"""
while sleep 0.2; do
  echo '{"model": "the-model", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}' \
    | bash /root/.agent/ask.sh
done
"""
FILES = {
    "/root/.agent/ask.sh": ASK,
    "/root/.agent/loop.sh": BASH,
    "/root/.agent/daemon.sh": DAEMON,
}


def program(line: str) -> AgentFile:
    return quick_agent(line).model_copy(update={"files": FILES})


@pytest.fixture
async def models(tmp_path: Path, service: Service) -> AsyncIterator[Models]:
    environ = {"ANTHROPIC_API_KEY": "sk-a-key-that-stays-outside"}
    async with open_models(
        run_key="run", journal_dir=tmp_path / "journal", patience=QUICK, environ=environ
    ) as opened:
        yield opened


async def tried(
    agent: AgentFile, start: Start, service: Service, models: Models, *, limit_s: float = 60.0
) -> Trajectory:
    sandbox = await start(listens=True)
    try:
        given = Brief(
            episode_id="episode-1",
            task_id="task-1",
            instruction="Look around.",
            system_prompt="Role: solver",
            effort=Effort(time_limit_s=limit_s),
        )
        model = models.get(f"messages:the-model@{service.url}")
        return await CommandSolver(agent=agent).solve(given, sandbox, model)
    finally:
        await sandbox.close()


async def test_a_loop_in_bash_is_an_agent(start: Start, service: Service, models: Models):
    service.reply = says("echo one", "echo two")
    agent = program("bash /root/.agent/loop.sh")
    done = await tried(agent, start, service, models)
    assert done.stop_reason is StopReason.SUBMITTED
    assert [call.arguments["command"] for step in done.steps for call in step.calls] == [
        "echo one",
        "echo two",
    ]
    assert done.submission == "Done."
    assert done.usage.output_tokens == 300


async def test_one_that_never_asks_and_ends_well_did_nothing(
    start: Start, service: Service, models: Models
):
    done = await tried(quick_agent("true"), start, service, models)
    assert done.stop_reason is StopReason.SUBMITTED
    assert [step.kind.value for step in done.steps] == ["user"]
    assert done.usage.total_tokens == 0
    assert service.bodies == []


async def test_one_that_ends_with_an_error_before_it_asked_has_no_score(
    start: Start, service: Service, models: Models
):
    with pytest.raises(InfrastructureError, match="no licence, no work") as caught:
        await tried(quick_agent("echo no licence, no work; exit 1"), start, service, models)
    assert caught.value.cause is Cause.AGENT_BROKEN


@pytest.mark.parametrize(
    ("ending", "code", "told"),
    [
        ("exit 3", 3, "out of ideas"),
        ("kill -9 $$", 137, "out of ideas"),
        ("python3 -c 'raise ValueError(\"no choice\")'", 1, "ValueError: no choice"),
    ],
)
async def test_one_that_ends_with_an_error_once_it_asked_is_said_to(
    start: Start, service: Service, models: Models, ending: str, code: int, told: str
):
    service.reply = says("echo one")
    agent = program(f"( bash /root/.agent/loop.sh; echo out of ideas; {ending} )")
    if ending.startswith("kill"):
        agent = program(f"bash -c 'bash /root/.agent/loop.sh; echo out of ideas; {ending}'")
    done = await tried(agent, start, service, models)
    assert done.stop_reason is StopReason.PROGRAM_FAILED
    assert f"exit code {code}" in done.submission
    assert told in done.submission
    assert [step.kind.value for step in done.steps][-2:] == ["agent", "agent"]


async def test_what_one_said_that_asked_nothing_is_told(
    start: Start, service: Service, models: Models
):
    done = await tried(quick_agent("echo usage: my-agent TASK"), start, service, models)
    assert done.stop_reason is StopReason.SUBMITTED
    assert "asked its model nothing" in done.submission
    assert "usage: my-agent TASK" in done.submission


async def test_one_that_needs_a_terminal_has_one_by_script(
    start: Start, service: Service, models: Models
):
    service.reply = says("tty")
    agent = program("script -qec '[ -t 0 ] && [ -t 1 ] && bash /root/.agent/loop.sh' /dev/null")
    done = await tried(agent, start, service, models)
    assert done.stop_reason is StopReason.SUBMITTED
    assert done.submission == "Done."


async def test_files_lie_at_home_and_in_the_tasks_folder(
    start: Start, service: Service, models: Models
):
    agent = quick_agent("cat ~/.mine/rules.md AGENTS.md; exit 1").model_copy(
        update={"files": {"~/.mine/rules.md": "at home", "{workdir}/AGENTS.md": "in {workdir}"}}
    )
    with pytest.raises(InfrastructureError, match=r"at homein /"):
        await tried(agent, start, service, models)


async def test_one_that_hangs_is_ended_by_the_clock(start: Start, service: Service, models: Models):
    began = time.monotonic()
    done = await tried(
        quick_agent("trap '' TERM INT HUP; sleep 600"), start, service, models, limit_s=3.0
    )
    assert done.stop_reason is StopReason.TIME_LIMIT
    assert time.monotonic() - began < 30


async def test_what_one_prints_costs_no_memory(start: Start, service: Service, models: Models):
    done = await tried(
        quick_agent("head -c 100000000 /dev/zero | tr '\\0' x; exit 0"), start, service, models
    )
    assert done.stop_reason is StopReason.SUBMITTED


async def test_what_one_leaves_running_reaches_no_model(
    start: Start, service: Service, models: Models
):
    sandbox = await start(listens=True)
    agent = program("setsid nohup bash /root/.agent/daemon.sh > /dev/null 2>&1 & sleep 1")
    given = Brief(episode_id="e", task_id="t", instruction="x", system_prompt="y", effort=Effort())
    model = models.get(f"messages:the-model@{service.url}")
    done = await CommandSolver(agent=agent).solve(given, sandbox, model)
    asked = len(service.bodies)
    assert asked >= 1
    await sandbox.exec("sleep 2", timeout_s=30)
    await sandbox.close()
    assert done.stop_reason is StopReason.SUBMITTED
    assert len(service.bodies) == asked
