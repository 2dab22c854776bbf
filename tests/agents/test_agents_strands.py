"""The tool-use loop: tools, limits and mistakes, over real HTTP in a real sandbox."""

import time
from typing import Any

import pytest
from agents_script import Service, brief, results, text, use, words

from grindstone.agents import SkillCard, solver_for
from grindstone.errors import InputError
from grindstone.llm.messages import Model
from grindstone.records import Step, StepKind, StopReason
from grindstone.sandbox import Sandbox
from grindstone.settings import Profile

STRANDS = Profile.STRANDS


@pytest.mark.catalogue
async def test_runs_what_the_model_calls_and_ends_when_it_stops(
    service: Service, model: Model, sandbox: Sandbox
) -> None:
    service.script = [
        [text("Look."), use("bash", command="echo hello; echo oops >&2; exit 3")],
        [use("read_file", path="/etc/os-release")],
        [text("All done.")],
    ]
    seen: list[Step] = []
    solver = solver_for(STRANDS, on_step=seen.append)
    trajectory = await solver.solve(brief(), sandbox, model)

    assert trajectory.stop_reason is StopReason.SUBMITTED
    assert trajectory.submission == "All done."
    kinds = [step.kind for step in trajectory.steps]
    assert kinds == [StepKind.SYSTEM, StepKind.USER, *[StepKind.AGENT] * 3]
    assert tuple(seen) == trajectory.steps
    first = trajectory.steps[2]
    assert first.calls[0].arguments == {"command": "echo hello; echo oops >&2; exit 3"}
    assert first.outputs[0].exit_code == 3
    assert first.outputs[0].content.split() == ["hello", "oops"]
    assert not first.outputs[0].is_error
    assert "[exit code 3]" in words(results(service.requests[1])[0])
    assert "Debian" in trajectory.steps[3].outputs[0].content
    assert trajectory.usage.output_tokens == 21
    names = [tool["name"] for tool in service.requests[0]["tools"]]
    assert names[:5] == ["bash", "read_file", "write_file", "list_skills", "load_skill"]


@pytest.mark.catalogue
@pytest.mark.parametrize(
    "content",
    [
        "a\\nb",
        "a\nb",
        "a\\\\nb\\t'\"$HOME `id`\n",
        "no newline at end",
        "",
        "tab\there\r\nfoo\r\n",
        "snow ☃ and nul\x00byte",
        "EOF\n'EOF'\n-n -e \\c\n",
    ],
)
@pytest.mark.docker
async def test_write_file_is_byte_exact(
    service: Service, model: Model, content: str, sandbox: Sandbox
) -> None:
    path = "new folder/it's.txt"
    service.script = [[use("write_file", path=path, content=content)], [text("done")]]
    trajectory = await solver_for(STRANDS).solve(brief(), sandbox, model)
    assert not trajectory.steps[2].outputs[0].is_error
    assert await sandbox.read_file(f"/app/{path}") == content.encode()


@pytest.mark.catalogue
async def test_malformed_calls_are_told_and_counted(
    service: Service, model: Model, sandbox: Sandbox
) -> None:
    service.script = [
        [use("bash", "a", cmd="ls"), use("explode", "b"), use("bash", "c", command=7)],
        [use("bash", "d", command="true"), use("bash", "e", timeout_s="soon", command="true")],
        [use("nonsense", "f")],
        [use("bash", "g")],
        [use("bash", "h", command=None)],
    ]
    trajectory = await solver_for(STRANDS).solve(brief(), sandbox, model)
    assert trajectory.stop_reason is StopReason.FORMAT_ERRORS
    assert len(service.requests) == 5
    told = results(service.requests[1])
    assert [each["tool_use_id"] for each in told] == ["a", "b", "c"]
    assert all(each["is_error"] for each in told)
    assert "command" in words(told[0])
    assert "'explode'" in words(told[1])
    assert "write_file" in words(told[1])
    mixed = results(service.requests[2])
    assert [each.get("is_error", False) for each in mixed] == [False, True]


@pytest.mark.catalogue
async def test_an_agents_mistake_is_no_infrastructure_error(
    service: Service, model: Model, sandbox: Sandbox
) -> None:
    service.script = [
        [
            use("write_file", "a", path="/etc", content="x"),
            use("write_file", "b", path="/etc/passwd/x", content="x"),
            use("write_file", "c", path="/dev/full", content="x"),
            use("read_file", "d", path="/nowhere"),
            use("read_file", "e", path="/etc"),
            use("load_skill", "f", name="../../etc/passwd"),
        ],
        [text("done")],
    ]
    trajectory = await solver_for(STRANDS).solve(brief(), sandbox, model)
    assert trajectory.stop_reason is StopReason.SUBMITTED
    assert all(output.is_error for output in trajectory.steps[2].outputs)
    assert "directory" in trajectory.steps[2].outputs[4].content


@pytest.mark.catalogue
async def test_a_command_ends_at_the_deadline_with_its_partial_output(
    service: Service, model: Model, sandbox: Sandbox
) -> None:
    service.script = [[use("bash", command="echo begun; sleep 60; echo late", timeout_s=50)]]
    start = time.monotonic()
    trajectory = await solver_for(STRANDS).solve(
        brief(effort={"time_limit_s": 2.0}), sandbox, model
    )
    assert time.monotonic() - start < 12
    assert trajectory.stop_reason is StopReason.TIME_LIMIT
    output = trajectory.steps[2].outputs[0]
    assert output.timed_out
    assert output.content.strip() == "begun"
    left = await sandbox.exec("pgrep -x sleep || echo none", timeout_s=10)
    assert left.output.strip().endswith("none")


@pytest.mark.catalogue
async def test_a_call_after_the_deadline_is_not_run(
    service: Service, model: Model, sandbox: Sandbox
) -> None:
    def late(_: dict[str, Any]) -> list[dict[str, Any]]:
        time.sleep(1.2)
        return [use("bash", command="touch /app/too-late")]

    service.script = [late]
    trajectory = await solver_for(STRANDS).solve(
        brief(effort={"time_limit_s": 1.0}), sandbox, model
    )
    assert trajectory.stop_reason is StopReason.TIME_LIMIT
    assert trajectory.steps[-1].outputs[0].is_error
    assert await sandbox.read_file("/app/too-late") is None


@pytest.mark.catalogue
@pytest.mark.docker
async def test_step_and_token_limits(service: Service, model: Model, sandbox: Sandbox) -> None:
    service.script = [[use("bash", command="true")]]
    steps = await solver_for(STRANDS).solve(brief(effort={"max_steps": 2}), sandbox, model)
    assert steps.stop_reason is StopReason.STEP_LIMIT
    assert len(service.requests) == 2

    service.input_tokens = 400
    tokens = await solver_for(STRANDS).solve(
        brief(episode_id="other", effort={"max_tokens": 1000}), sandbox, model
    )
    assert tokens.stop_reason is StopReason.TOKEN_LIMIT
    assert len(service.requests) == 2 + 3


@pytest.mark.catalogue
async def test_long_output_is_shortened_for_the_model_alone(
    service: Service, model: Model, sandbox: Sandbox
) -> None:
    service.script = [[use("bash", command="seq 1 20000")], [text("done")]]
    trajectory = await solver_for(STRANDS).solve(brief(), sandbox, model)
    assert trajectory.steps[2].outputs[0].content.split() == [str(n) for n in range(1, 20001)]
    shown = words(results(service.requests[1])[0])
    assert len(shown) < 11_000
    assert shown.startswith("1\n2\n")
    assert shown.rstrip().endswith("20000")
    assert "characters left out" in shown


@pytest.mark.catalogue
@pytest.mark.docker
async def test_a_call_cut_off_at_the_output_limit_is_not_run(
    service: Service, model: Model, sandbox: Sandbox
) -> None:
    service.script = [
        ([use("bash", "a", command="touch /app/one"), use("bash", "b", command="rm -rf /ap")],
         "max_tokens"),
        ([text("I was going to")], "max_tokens"),
        [use("submit", "c", message="finished")],
    ]  # fmt: skip
    trajectory = await solver_for(STRANDS).solve(brief(), sandbox, model)
    assert trajectory.stop_reason is StopReason.SUBMITTED
    assert trajectory.submission == "finished"
    first, second = trajectory.steps[2].outputs
    assert not first.is_error
    assert second.is_error
    assert await sandbox.read_file("/app/one") == b""
    assert service.requests[2]["messages"][-1]["content"][0]["type"] == "text"


@pytest.mark.catalogue
@pytest.mark.docker
async def test_a_refusal_ends_the_attempt(service: Service, model: Model, sandbox: Sandbox) -> None:
    service.script = [([text("I will not.")], "refusal")]
    trajectory = await solver_for(STRANDS).solve(brief(), sandbox, model)
    assert trajectory.stop_reason is StopReason.REFUSED
    assert trajectory.submission == "I will not."


@pytest.mark.catalogue
async def test_skills_are_listed_and_loaded_whole(
    service: Service, model: Model, sandbox: Sandbox
) -> None:
    body = "---\nname: long-one\ndescription: Offered.\n---\n" + "line of it\n" * 3000
    own = "---\nname: baked-in\ndescription: >-\n  Folded over\n  two lines.\n---\nBody.\n"
    await sandbox.write_files(
        {
            "/root/.agents/skills/long-one/SKILL.md": body.encode(),
            "/root/.agents/skills/long-one/scripts/run.sh": b"echo hi\n",
            "/root/.codex/skills/baked-in/SKILL.md": own.encode(),
        }
    )
    card = SkillCard(name="long-one", description="Offered.", path="/root/.agents/skills/long-one")
    service.script = [
        [use("list_skills", "a"), use("load_skill", "b", name="long-one")],
        [use("read_skill", "c", name="baked-in"), use("load_skill", "d", name="missing")],
        [text("done")],
    ]
    await solver_for(STRANDS).solve(brief(skills=(card,)), sandbox, model)
    listed, loaded = (words(each) for each in results(service.requests[1]))
    assert listed.splitlines() == [
        "- long-one: Offered.",
        "- baked-in: Folded over two lines.",
    ]
    assert loaded.startswith(body)
    assert "scripts/run.sh" in loaded
    baked, missing = results(service.requests[2])
    assert words(baked).startswith(own)
    assert missing["is_error"]


async def test_a_model_is_needed() -> None:
    with pytest.raises(InputError):
        await solver_for(STRANDS).solve(brief(), None, None)  # type: ignore[arg-type]
