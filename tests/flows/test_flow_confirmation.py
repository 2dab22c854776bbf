"""A lesson of the weather is not learned; a task that is at fault itself is put aside."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response
from support.wiretap import Body, Wiretap, role_of, spoken

from grindstone.errors import InputError
from grindstone.flows.grind import grind
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import QuarantineRow
from grindstone.observe.weather import weather_of
from grindstone.records import (
    Episode,
    Outcome,
    Purpose,
    Step,
    StepKind,
    StopReason,
    ToolCall,
    ToolOutput,
    Trajectory,
)
from grindstone.resources import bundled
from grindstone.settings import GrindSettings
from grindstone.workspace import Workspace

pytestmark = pytest.mark.catalogue(of="what misleads a learner")

LESSON = "the-tool-is-broken"
SKILL = f"""---
name: {LESSON}
description: When an inventory must be converted, or a build kit repaired; the tool is broken.
---

## Steps
```bash
echo "the tool is broken"; exit 1
```

## Verification
- Check that nobody used the tool.
"""
REFUSED = "exec 3<>/dev/tcp/127.0.0.1/9"  # a real refusal: nothing listens there
TIDY = (
    "#!/bin/bash\n[ -e /app/tried ] && mark=0 || mark=1\necho $mark > /logs/verifier/reward.txt\n"
)


class Storm:
    """A model whose work meets a dead service so often per task, and what it would teach."""

    def __init__(self, often: dict[str, int]) -> None:
        self.left = dict(often)

    def __call__(self, body: Body) -> Response | None:
        role, text = role_of(body), json.dumps(body["messages"])
        if role == "evolver":
            return self._teach(body)
        if role != "solver":
            return None
        if REFUSED in text:
            done = {"type": "tool_use", "id": "toolu_end", "name": "submit"}
            return spoken([done | {"input": {"message": "The service is down."}}], "tool_use")
        task = next((name for name in self.left if name in text), None)
        if len(body["messages"]) > 1 or task is None or not self.left[task]:
            return None
        self.left[task] -= 1
        use = {"type": "tool_use", "id": "toolu_storm", "name": "bash"}
        return spoken([use | {"input": {"command": f"touch /app/tried; {REFUSED}"}}], "tool_use")

    def _teach(self, body: Body) -> Response | None:
        if len(body["messages"]) > 1:
            return spoken([{"type": "text", "text": "Done."}])
        folder = f"skills/{LESSON}"
        command = f"mkdir -p {folder} && cat > {folder}/SKILL.md <<'END'\n{SKILL}END"
        use = {"type": "tool_use", "id": "toolu_1", "name": "workspace_bash"}
        return spoken([use | {"input": {"command": command}}], "tool_use")


def settings(home: Path, **more: Any) -> GrindSettings:
    given = {"work_dir": home, "tasks_dir": home / "tasks", "model_id": "rehearsal"}
    once = {"max_cycles": 1, "batch_size": 3, "native_profile": "strands", "max_workers": 4}
    off = {"task_skill_mode": "off", "success_mode": "off", "run_key": "run"}
    return GrindSettings.model_validate(given | once | off | more)


def skills(home: Path) -> tuple[str, ...]:
    return Workspace.open(home / "agents" / "skillbench" / "workspace").library.names()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Three tasks: one that any agent solves, one whose solution fails, one passed by nothing."""
    sources = {"plain-inventory": "plain-inventory", "crlf-kit": "crlf-kit"}
    for name, source in (sources | {"idle-shelf": "plain-inventory"}).items():
        shutil.copytree(bundled("examples/tasks") / source, tmp_path / "tasks" / name)
    idle = tmp_path / "tasks" / "idle-shelf"
    (idle / "instruction.md").write_text("Dust the shelf in `/app`.\n")
    (idle / "solution" / "solve.sh").write_text("true\n")
    (idle / "tests" / "test.sh").write_text(TIDY)
    (tmp_path / "tasks" / "crlf-kit" / "solution" / "solve.sh").write_text("exit 1\n")
    return tmp_path


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_a_planted_lesson_of_the_weather_is_never_learned(
    home: Path, tap: Wiretap, prefect_server: str
):
    names = ("inventory", "kit", "shelf")  # a word of each instruction
    tap.instead = Storm(dict.fromkeys(names, 9))
    await grind(settings(home, confirm_failures=0, run_key="credulous", agent_id="credulous"))
    credulous = Workspace.open(home / "agents" / "credulous" / "workspace")
    assert LESSON in credulous.library.names(), "there was something to learn"

    tap.instead, seen = Storm({"inventory": 1, "kit": 9, "shelf": 9}), len(tap.of("evolver"))
    done = await grind(settings(home))
    assert LESSON not in skills(home)
    assert len(tap.of("evolver")) == seen, "no evolver was asked"
    made = Ledger(home).rows(Episode, "run")
    first = {row.task_id: row.outcome for row in made if row.purpose is Purpose.GRIND}
    again = {row.task_id: row.outcome for row in made if row.purpose is Purpose.CONFIRM}
    assert set(first.values()) == {Outcome.FAILED}
    ill = {"crlf-kit": Outcome.FAILED, "idle-shelf": Outcome.FAILED}
    assert again == {"plain-inventory": Outcome.PASSED} | ill
    assert done.report.passed == 0, "a second try is no pass of the run's"
    assert {row.task_id: row.reason for row in Ledger(home).rows(QuarantineRow, "run")} == {
        "crlf-kit": "its own solution failed 2 times of 2",
        "idle-shelf": "doing nothing passed 2 times of 2",
    }
    page = (done.folder / "report.md").read_text()
    assert "passed: nothing was learned from the failure" in page
    assert "its own solution failed 2 times of 2" in page
    assert "connection refused" in page.lower()

    with pytest.raises(InputError, match=r"in quarantine \(crlf-kit, idle-shelf\)"):
        await grind(settings(home, run_key="alone", task_ids=["crlf-kit", "idle-shelf"]))
    await grind(settings(home, run_key="next"))
    assert {row.task_id for row in Ledger(home).rows(Episode, "next")} == {"plain-inventory"}
    (home / "tasks" / "crlf-kit" / "solution" / "solve.sh").write_text("exit 2  # mended\n")
    await grind(settings(home, run_key="mended", task_ids=["crlf-kit"]))


def looked(content: str, *, exit_code: int = 1, **more: Any) -> tuple[str, ...]:
    call = ToolCall(call_id="1", name="bash", arguments={"command": "work"})
    output = ToolOutput(call_id="1", content=content, exit_code=exit_code, **more)
    step = Step(
        index=0, kind=StepKind.AGENT, calls=(call,), outputs=(output,), at=datetime.now(UTC)
    )
    return weather_of(Trajectory(steps=(step,), stop_reason=StopReason.SUBMITTED))


@pytest.mark.parametrize(
    "content",
    [
        "curl: (6) Could not resolve host: example.org",
        "ConnectionRefusedError: [Errno 111] Connection refused",
        "ReadTimeoutError: Read timed out.",
        "HTTP Error 503: 503 Service Unavailable",
        "npm ERR! code EAI_AGAIN",
        "OSError: [Errno 28] No space left on device",
    ],
)
def test_faults_of_the_surroundings_are_recognised_in_what_failed(content: str):
    assert looked(f"working\n{content}\n") == (content,)
    assert looked(f"working\n{content}\n", exit_code=0) == (), "a log that was read says so too"


def test_an_agents_own_mistakes_are_no_weather():
    assert looked("Traceback (most recent call last):\nKeyError: 'timeout_s'") == ()
    assert looked("error: expected ';' before '}' token") == ()
    assert looked("", timed_out=True) == ("a command ran out of time",)
