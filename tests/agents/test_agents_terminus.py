"""Typing into a terminal: tmux where there is one, a plain shell where not."""

import json
import time
from typing import Any

import pytest
from agents_script import Blocks, Service, brief, terminus, text

from grindstone.agents import build_system_prompt, solver_for
from grindstone.agents.protocol import SkillCard
from grindstone.agents.terminals import new_output
from grindstone.agents.terminus_answer import UnusableAnswerError, parse_answer
from grindstone.llm.messages import Model
from grindstone.records import StepKind, StopReason, Trajectory
from grindstone.sandbox import Sandbox
from grindstone.settings import Profile

T2 = Profile.TERMINUS2


def said(request: dict[str, Any]) -> str:
    return "".join(block.get("text", "") for block in request["messages"][-1]["content"])


async def solve(
    service: Service, model: Model, sandbox: Sandbox, *script: Blocks, profile: Profile = T2
) -> Trajectory:
    service.script = list(script)
    return await solver_for(profile).solve(brief(), sandbox, model)


@pytest.mark.catalogue
async def test_a_real_terminal_keeps_its_state(
    service: Service, model: Model, sandbox: Sandbox
) -> None:
    trajectory = await solve(
        service,
        model,
        sandbox,
        terminus(("cd /tmp && WORD='it is; kept;'\n", 0.3)),
        terminus(("echo $PWD: $WORD\n", 0.2), ("cat > f <<'EOF'\na\\nb;\nEOF\n", 0.3)),
        terminus(
            ("read -r line\n", 0.3), ("typed", 0.1), (" whole\n", 0.2), ("echo [$line]\n", 0.3)
        ),
        terminus(("sleep 100\n", 0.3), ("C-c", 0.5), ("echo back\n", 0.4)),
        terminus(done=True),
        terminus(done=True),
    )
    assert trajectory.stop_reason is StopReason.SUBMITTED
    opening, _, second, third, fourth, _ = (said(request) for request in service.requests)
    assert "Do the task." in opening
    assert "Current terminal screen:" in opening
    assert "New terminal output:" in second.splitlines()[0] or "screen" in second
    shown = [said(request) for request in service.requests]
    assert "/tmp: it is; kept;" in shown[2]
    assert "[typed whole]" in shown[3]
    assert "back" in shown[4]
    assert "^C" in fourth
    # What was shown before is not shown again.
    assert "it is; kept;" not in third
    assert await sandbox.read_file("/tmp/f") == b"a\\nb;\n"
    calls = [call for step in trajectory.steps for call in step.calls]
    assert calls[0].name == "keystrokes"
    assert calls[0].arguments == {"keystrokes": "cd /tmp && WORD='it is; kept;'\n", "duration": 0.3}
    assert all(len(step.calls) == len(step.outputs) for step in trajectory.steps)
    assert trajectory.steps[2].message == "I see.\nI type."


@pytest.mark.catalogue
async def test_waiting_ends_when_the_shell_is_back_at_its_prompt(
    service: Service, model: Model, sandbox: Sandbox
) -> None:
    service.script = [
        terminus(("sleep 0.7; echo quick\n", 40), ("seq 3 |\nwhile read n; do\n", 1)),
        terminus(("sleep 0.5; echo got $n\ndone\n", 40), ("V=$(sleep 1.5; echo late)\n", 40)),
        terminus(("echo $V; (sleep 1; echo sub) & wait; echo waited\n", 40)),
        terminus(("cd /; mkdir -p /tmp/x; cat > /tmp/x/f <<'EOF'\n1 $\n2 #\nEOF\n", 40)),
        terminus(("sleep 30\n", 1.0)),
        terminus(("C-c", 0.3), ("wc -l < /tmp/x/f; clear; echo end\n", 2)),
        terminus(done=True),
        terminus(done=True),
    ]
    start = time.monotonic()
    trajectory = await solver_for(T2).solve(brief(), sandbox, model)
    assert trajectory.stop_reason is StopReason.SUBMITTED
    assert time.monotonic() - start < 100
    shown = [said(request) for request in service.requests]
    assert "\nquick\n" in shown[1]
    assert "got 3" in shown[2]
    assert "\nlate\n" in shown[3]
    assert "\nwaited\n" in shown[3]
    assert await sandbox.read_file("/tmp/x/f") == b"1 $\n2 #\n"
    assert "sleep 30" in shown[5]
    assert "end" in shown[6]


@pytest.mark.catalogue
async def test_completion_must_be_confirmed(
    service: Service, model: Model, sandbox: Sandbox
) -> None:
    trajectory = await solve(
        service,
        model,
        sandbox,
        terminus(("echo one\n", 0.2), done=True),
        terminus(("echo doubt\n", 0.2)),
        terminus(done=True),
        terminus(("echo last\n", 0.2), done=True),
    )
    assert trajectory.stop_reason is StopReason.SUBMITTED
    assert len(service.requests) == 4
    assert "Are you sure?" in said(service.requests[1])
    assert "Are you sure?" not in said(service.requests[2])
    assert "Are you sure?" in said(service.requests[3])
    assert "last" in trajectory.steps[-1].outputs[0].content


@pytest.mark.catalogue
async def test_unusable_answers_are_told_and_end_the_attempt(
    service: Service, model: Model, sandbox: Sandbox
) -> None:
    good = terminus(("true\n", 0.1))
    bad = [text("I would list the files first.")]
    trajectory = await solve(service, model, sandbox, bad, bad, good, bad, bad, bad)
    assert trajectory.stop_reason is StopReason.FORMAT_ERRORS
    assert len(service.requests) == 6
    assert "no JSON object" in said(service.requests[1])
    assert trajectory.steps[3].kind is StepKind.USER


@pytest.mark.catalogue
async def test_the_deadline_ends_what_runs_in_front(
    service: Service, model: Model, sandbox: Sandbox
) -> None:
    service.script = [terminus(("(sleep 301 & disown)\n", 0.3), ("echo go; sleep 300\n", 30))]
    start = time.monotonic()
    trajectory = await solver_for(T2).solve(brief(effort={"time_limit_s": 4.0}), sandbox, model)
    assert trajectory.stop_reason is StopReason.TIME_LIMIT
    assert time.monotonic() - start < 15
    assert "go" in trajectory.steps[-1].outputs[-1].content
    left = await sandbox.exec("ps -eo args | grep '^sleep'", timeout_s=10)
    assert "sleep 301" in left.output  # left running on purpose
    assert "sleep 300" not in left.output


@pytest.mark.catalogue
async def test_a_closed_terminal_is_opened_again(
    service: Service, model: Model, sandbox: Sandbox
) -> None:
    await solve(
        service,
        model,
        sandbox,
        terminus(("exit\n", 0.5)),
        terminus(("echo alive\n", 0.3)),
        terminus(done=True),
        terminus(done=True),
    )
    assert "a new one was started" in said(service.requests[1])
    assert "alive" in said(service.requests[2])


async def plain_shell(
    service: Service, model: Model, sandbox: Sandbox, profile: Profile
) -> Trajectory:
    trajectory = await solve(
        service,
        model,
        sandbox,
        terminus(("cd /tmp; export WORD='a b'\n", 0.1), ("echo $PWD $WORD\n", 0.1)),
        terminus(("echo par", 0.1), ("tial; exit 4\n", 0.1), ("C-c", 0.1), ("sleep 1; pwd\n", 0.1)),
        terminus(done=True),
        terminus(done=True),
        profile=profile,
    )
    assert trajectory.stop_reason is StopReason.SUBMITTED
    assert "plain shell" in said(service.requests[0])
    assert "/tmp a b" in said(service.requests[1])
    second = said(service.requests[2])
    assert "partial" in second
    assert "[exit code 4]" in second
    assert second.rstrip().endswith("/tmp")
    assert "grindstone-state" not in json.dumps(service.requests)
    assert [output.exit_code for output in trajectory.steps[2].outputs] == [0, 0]
    return trajectory


@pytest.mark.docker
async def test_without_tmux_each_line_runs_to_its_end(
    service: Service, model: Model, bare_sandbox: Sandbox
) -> None:
    await plain_shell(service, model, bare_sandbox, T2)
    assert len(service.requests) == 4


@pytest.mark.catalogue
async def test_legacy_uses_no_terminal_and_asks_no_confirmation(
    service: Service, model: Model, sandbox: Sandbox
) -> None:
    await plain_shell(service, model, sandbox, Profile.TERMINUS2_LEGACY)
    assert len(service.requests) == 3


GOOD = '{"analysis": "a", "plan": "p", "commands": [{"keystrokes": "ls\\n", "duration": 2}]}'


@pytest.mark.parametrize(
    ("answer", "warning"),
    [
        (GOOD, None),
        (f"```json\n{GOOD}\n```", None),
        (f"Let me {{think}} about it.\n{GOOD}", "before"),
        (f"{GOOD}\nThat should do it.", "after"),
        (GOOD[:-1], "closing brackets"),
        (GOOD[:-2], "closing brackets"),
        (GOOD.replace("2}", '"2"}'), "duration"),
        (GOOD.replace("2}", "900}"), "lowered"),
        (GOOD.replace('"plan": "p", ', ""), '"plan" is missing'),
        (GOOD.replace('"p",', '"p", "mood": 1,'), "mood"),
        (GOOD.replace("\\n", "\n"), None),
        (GOOD[:-1] + ', "task_complete": "false"}', "string"),
    ],
)
def test_answers_are_read_with_warnings(answer: str, warning: str | None) -> None:
    read = parse_answer(answer)
    assert [command.text for command in read.commands] == ["ls\n"]
    assert not read.task_complete
    if warning is None:
        assert read.warnings == ()
    else:
        assert any(warning in each for each in read.warnings)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "ls -la",
        "[1, 2]",
        '{"analysis": "a"}',
        '{"analysis": "a", "plan": "b", "commands": "ls"}',
        '{"commands": ["ls"]}',
        '{"commands": [{"duration": 1}]}',
        '{"commands": [], "task_complete": "maybe"}',
        GOOD[: GOOD.index("ls") + 1],  # cut inside the keystrokes: must not be run
    ],
)
def test_unusable_answers_are_refused(answer: str) -> None:
    with pytest.raises(UnusableAnswerError):
        parse_answer(answer)


def test_new_output_is_what_follows_the_old() -> None:
    assert new_output("", "$ \n") is None
    assert new_output("$ \n\n", "$ ls\na\n$ \n") == "$ ls\na\n$ \n"
    assert new_output("a\n$ \n", "a\n$ \n") == ""
    assert new_output("a\nb\n$ ", "z\n$ ") is None


def test_a_system_prompt_names_role_memories_and_skills_only_by_card() -> None:
    card = SkillCard(name="csv", description="When CSV.", path="/root/.agents/skills/csv")
    for profile in (Profile.STRANDS, Profile.TERMINUS2, Profile.TERMINUS2_LEGACY):
        prompt = build_system_prompt(
            "Role: solver\n\nCosts $5 {x}.", ["Be brief."], [card], profile
        )
        assert prompt.startswith("Role: solver\n")
        assert prompt.count("Role:") == 1
        assert "Costs $5 {x}." in prompt
        assert "- Be brief." in prompt
        assert "- csv: When CSV." in prompt
        assert ('"task_complete"' in prompt) is (profile is not Profile.STRANDS)
        bare = build_system_prompt("", [], [], profile)
        assert "Skills" not in bare
        assert "remember" not in bare
    assert build_system_prompt("x", [], [], Profile.ORACLE) == ""
