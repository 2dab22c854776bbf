"""Programs of others in real sandboxes without a network, and what is read off their traffic."""

import json
import os
import shlex
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response, StreamingResponse
from support import black_box
from support.model_service import QUICK, Service, says
from support.sandboxes import Start

from grindstone.agents.agent_file import (
    ToolWord,
    bundled_agents,
    load_agent,
    quick_agent,
)
from grindstone.agents.agent_image import with_agent
from grindstone.agents.command_agent import CommandSolver
from grindstone.agents.protocol import Brief, Effort
from grindstone.agents.solvers import solver_for
from grindstone.digest import digest_tree
from grindstone.errors import BudgetExceededError, Cause, InfrastructureError, InputError
from grindstone.llm import Models, open_models
from grindstone.llm.budget import Spending
from grindstone.proxy.api import sse
from grindstone.records import StopReason
from grindstone.sandbox import BuildSpec, Limits, SandboxProvider, StartSpec
from grindstone.settings import GrindSettings, Profile

KEY = "sk-a-key-that-must-stay-outside"
PROGRAM = Path(black_box.__file__).read_text("utf-8")
LOOK = "env; cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'; cat /root/.agent/*"
AGENT = quick_agent("python3 /root/.agent/agent.py").model_copy(
    update={"files": {"/root/.agent/agent.py": PROGRAM}}
)


def brief(**effort: Any) -> Brief:
    return Brief(
        episode_id="episode-1",
        task_id="task-1",
        instruction="Look around.",
        system_prompt="Role: solver",
        effort=Effort(**({"time_limit_s": 60.0} | effort)),
    )


@pytest.fixture
async def models(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Models]:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    async with open_models(
        run_key="run", journal_dir=tmp_path / "journal", patience=QUICK
    ) as opened:
        yield opened


async def test_a_program_without_a_network_works_and_what_it_did_is_told(
    start: Start, service: Service, models: Models, tmp_path: Path
):
    service.reply = says("echo found > /tmp/it; cat /tmp/it", "cat /nowhere", LOOK)
    sandbox = await start(listens=True)
    model = models.get(f"messages:the-model@{service.url}")
    done = await CommandSolver(agent=AGENT).solve(brief(), sandbox, model)
    looked = await sandbox.exec(LOOK, timeout_s=30)
    over = await sandbox.exec(
        "python3 -c \"import urllib.request as u; u.urlopen('http://127.0.0.1:4141/')\"",
        timeout_s=30,
    )
    await sandbox.close()
    assert done.stop_reason is StopReason.SUBMITTED
    assert done.submission == "Done."
    assert [step.kind.value for step in done.steps] == ["system", "user", *["agent"] * 4]
    first, second = done.steps[2:4]
    assert first.calls[0].name == "bash"
    assert "found" in first.outputs[0].content
    assert (first.outputs[0].exit_code, second.outputs[0].exit_code) == (0, 1)
    assert done.usage.output_tokens == 400
    # The key that the service was sent is nowhere inside; what is there opens nothing any more.
    assert service.headers[0]["x-api-key"] == KEY
    inside = looked.output + json.dumps([step.model_dump(mode="json") for step in done.steps])
    assert "attempt-" in inside
    assert KEY not in inside
    assert over.exit_code != 0
    journaled = "".join(path.read_text() for path in (tmp_path / "journal").glob("*"))
    assert journaled
    assert KEY not in journaled


async def test_a_limit_ends_the_program_and_keeps_what_it_did(
    start: Start, service: Service, models: Models
):
    service.reply = says(*["true"] * 50)
    sandbox = await start(listens=True)
    model = models.get(f"messages:the-model@{service.url}")
    done = await CommandSolver(agent=AGENT).solve(brief(max_steps=3), sandbox, model)
    await sandbox.close()
    assert done.stop_reason is StopReason.STEP_LIMIT
    assert len(service.bodies) == 3


@pytest.mark.bubblewrap
@pytest.mark.parametrize("provider", ["bubblewrap"], indirect=True)
class TestOnOneEngine:
    async def test_a_ceiling_ends_a_program_that_does_not_end_itself(
        self, start: Start, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        from grindstone.agents import command_agent

        monkeypatch.setattr(command_agent, "GRACE_S", 1.0)
        service.reply = says(*["true"] * 50)
        stubborn = "python3 /root/.agent/agent.py; sleep 300 & sleep 301"
        agent = AGENT.model_copy(update={"command": stubborn})
        sandbox = await start(listens=True)
        async with open_models(
            run_key="run",
            journal_dir=tmp_path / "journal",
            spending=Spending(max_tokens_total=4_000),
            patience=QUICK,
        ) as models:
            model = models.get(f"messages:the-model@{service.url}")
            with pytest.raises(BudgetExceededError):
                await CommandSolver(agent=agent).solve(brief(), sandbox, model)
            left = await sandbox.exec("pgrep -fa 'sleep 30[01]'", timeout_s=30)
        await sandbox.close()
        assert "sleep" not in left.output
        assert len(service.bodies) in (2, 3)

    async def test_a_service_that_stays_away_leaves_no_score(
        self, start: Start, service: Service, models: Models
    ):
        service.reply = lambda body: JSONResponse({"error": {"type": "overloaded_error"}}, 529)
        sandbox = await start(listens=True)
        model = models.get(f"messages:the-model@{service.url}")
        with pytest.raises(InfrastructureError) as caught:
            await CommandSolver(agent=AGENT).solve(brief(), sandbox, model)
        await sandbox.close()
        assert caught.value.cause is Cause.OVERLOADED

    async def test_a_program_that_never_asks_is_broken(
        self, start: Start, service: Service, models: Models
    ):
        sandbox = await start(listens=True)
        model = models.get(f"messages:the-model@{service.url}")
        with pytest.raises(InfrastructureError, match="no-such-agent") as caught:
            await CommandSolver(agent=quick_agent("no-such-agent")).solve(brief(), sandbox, model)
        await sandbox.close()
        assert caught.value.cause is Cause.AGENT_BROKEN

    async def test_its_program_is_a_layer_of_the_tasks_image(
        self, provider: SandboxProvider, tmp_path: Path
    ):
        (tmp_path / "Dockerfile").write_text("FROM debian:bookworm-slim\nWORKDIR /app\n")
        build = BuildSpec(context_dir=tmp_path, context_digest=digest_tree(tmp_path))
        agent = AGENT.model_copy(update={"install": ("echo installed > /opt/agent",)})
        with_it = with_agent(build, agent)
        assert with_agent(build, AGENT) == build
        assert with_agent(build, agent) == with_it
        other = with_agent(build, agent.model_copy(update={"install": ("true",)}))
        assert other.context_digest != with_it.context_digest
        image = await provider.build(with_it)
        sandbox = await provider.start(StartSpec(image=image, name="test"))
        found = await sandbox.exec("cat /opt/agent; pwd", timeout_s=30)
        await sandbox.close()
        assert found.output.split() == ["installed", "/app"]


@pytest.mark.registry
@pytest.mark.bubblewrap
@pytest.mark.slow
@pytest.mark.drill
@pytest.mark.timeout(1200)
@pytest.mark.skipif("GRINDSTONE_DRILL_KILLS" not in os.environ, reason="installs for long")
@pytest.mark.parametrize("provider", ["bubblewrap"], indirect=True)
async def test_aider_makes_the_edit_that_its_model_asks_for(
    provider: SandboxProvider, service: Service, models: Models, tmp_path: Path
):
    edit = "notes.txt\n```\n<<<<<<< SEARCH\none\n=======\ntwo\n>>>>>>> REPLACE\n```\n"

    def reply(body: dict[str, Any]) -> Response:
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": edit}, {}]
        ends = (None, "stop")
        choices = (
            {"index": 0, "delta": delta, "finish_reason": end}
            for delta, end in zip(deltas, ends, strict=True)
        )
        events = [{"model": "m", "choices": [choice]} for choice in choices]
        usage = {"prompt_tokens": 100, "completion_tokens": 10}
        return StreamingResponse(
            map(sse, [*events, {"choices": [], "usage": usage}]), media_type="text/event-stream"
        )

    (tmp_path / "Dockerfile").write_text(
        "FROM debian:bookworm-slim\nWORKDIR /app\nRUN echo one > notes.txt\n"
    )
    agent = load_agent("aider")
    build = BuildSpec(context_dir=tmp_path, context_digest=digest_tree(tmp_path))
    try:
        image = await provider.build(with_agent(build, agent))
    except InfrastructureError as error:
        pytest.skip(f"aider cannot be installed here: {str(error)[-500:]}")
    service.reply = reply
    sandbox = await provider.start(
        StartSpec(image=image, name="aider", listens=True, limits=Limits(memory_mb=1024, pids=256))
    )
    model = models.get(f"openai:the-model@{service.url}/v1")
    done = await CommandSolver(agent=agent).solve(brief(), sandbox, model)
    found = await sandbox.exec("cat notes.txt; ls -A", timeout_s=30)
    await sandbox.close()
    assert found.output.split() == ["two", "notes.txt"], "the edit, and nothing of its own"
    assert done.stop_reason is StopReason.SUBMITTED
    assert "REPLACE" in done.submission
    assert done.usage.output_tokens == 10


def test_the_bundled_agents_are_sound():
    assert {"claude-code", "codex"} <= set(bundled_agents())
    for name in bundled_agents():
        agent = load_agent(name)
        assert agent.name == name
        assert agent.version in "".join(agent.install)
        assert agent.licence
        told = json.dumps(agent.env) + json.dumps(agent.files) + agent.command
        assert "{base_url}" in told
        assert "{token}" in told


def test_what_is_wrong_with_a_file_is_named(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: Mine\nmodell: x\ntools: {Bash: {name: shell, argument: c}}\n")
    with pytest.raises(InputError) as caught:
        load_agent(str(path))
    text = str(caught.value)
    for field in ("name", "modell", "command", "tools.Bash.name"):
        assert f"mine.yaml: {field}" in text
    with pytest.raises(InputError, match="claude-code"):
        load_agent(str(tmp_path / "nowhere.yaml"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("files: {notes/x: a}", "mine.yaml: files: 'notes/x' is no absolute path; expected"),
        ("files: {'{wrkdir}/x': a}", "mine.yaml: files: '{wrkdir}/x' is no absolute path"),
        ("skills: my/skills", "mine.yaml: skills: 'my/skills' is no absolute path; expected"),
        ("env: {KEY: '{api_key}'}", "mine.yaml: env.KEY: {api_key} is not filled in; expected"),
        ("command: 'x {prompt}'", "mine.yaml: command: {prompt} is not filled in; expected"),
        ("env: {A: '{base-url}'}", "mine.yaml: env.A: {base-url} is not filled in; expected"),
    ],
)
def test_what_would_not_be_filled_in_or_found_is_named(tmp_path: Path, text: str, told: str):
    path = tmp_path / "mine.yaml"
    begun = "" if text.startswith("command") else "command: run\n"
    path.write_text(f"name: mine\n{begun}{text}\n")
    with pytest.raises(InputError) as caught:
        load_agent(str(path))
    assert told in str(caught.value)


def test_braces_of_a_shells_or_programs_own_are_let_be(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\ncommand: awk '{print}' x{a,b} ${HOME} {instruction_file}\n"
        "env: {JSON: '{\"key\": 1}'}\nskills: ~/.mine/skills\n"
        "files: {/x.py: 'f\"{prompt} {key}\"'}\n"
    )
    assert load_agent(str(path)).skills == "~/.mine/skills"


def test_an_empty_file_is_no_agent(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("")
    with pytest.raises(InputError, match=r"mine\.yaml: .*expected"):
        load_agent(str(path))


def test_what_names_an_agent_is_its_profile():
    assert GrindSettings(agent="codex").native_profile is Profile.COMMAND
    assert GrindSettings(agent_command="x").native_profile is Profile.COMMAND
    assert GrindSettings(solver="a:b").native_profile is Profile.CODE
    for wrong in (
        {"agent": "codex", "native_profile": "strands"},
        {"agent": "codex", "solver": "a:b"},
        {"native_profile": "command"},
        {"native_profile": "code"},
    ):
        with pytest.raises(ValueError, match="expected"):
            GrindSettings(**wrong)


def test_a_solver_of_ones_own_is_made_by_its_factory():
    solver = solver_for(Profile.CODE, plugin="grindstone.agents.fixed:NopSolver")
    assert type(solver).__name__ == "NopSolver"
    for wrong in (
        "no_such_module:x",
        "grindstone.agents.fixed:nothing",
        "unheard-of",
        "os:sep",
        "os:system",
    ):
        with pytest.raises(InputError, match="solver"):
            solver_for(Profile.CODE, plugin=wrong)
    with pytest.raises(InputError, match="solve"):
        solver_for(Profile.CODE, plugin="builtins:dict")


def test_tools_come_in_our_words():
    from grindstone.agents.traffic import in_our_words
    from grindstone.records import ToolCall

    words = {"shell": ToolWord(name="bash", argument="command")}
    call = ToolCall(call_id="1", name="shell", arguments={"command": ["bash", "-lc", "ls | wc"]})
    assert in_our_words(call, words).arguments == {"command": "ls | wc"}
    call = ToolCall(call_id="1", name="shell", arguments={"command": ["ls", "a b"]})
    assert in_our_words(call, words).arguments == {"command": "ls 'a b'"}
    assert shlex.split(str(in_our_words(call, words).arguments["command"])) == ["ls", "a b"]
    other = call.model_copy(update={"name": "other"})
    assert in_our_words(other, words) == other
