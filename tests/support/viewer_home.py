"""A home for the viewer: two runs of one agent, between which it learned a skill."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.ledger.tables.attempts import SkillUseRow, trajectory_rows, verdict_rows
from grindstone.ledger.tables.runs import EvolutionRow, RunRow, SkillRow
from grindstone.llm.calls import CallRecord
from grindstone.llm.journal import Journal, JournalEntry
from grindstone.llm.messages import CallSite, Response, Text
from grindstone.records import (
    Episode,
    Outcome,
    Purpose,
    Role,
    Step,
    StepKind,
    StopReason,
    TestResult,
    ToolCall,
    ToolOutput,
    Trajectory,
    Usage,
    Verdict,
)
from grindstone.resources import bundled
from grindstone.workspace import Workspace

AGENT = "ada"
SKILL = "mend-names"
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOSTILE = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>"
SKILL_TEXT = f"""---
name: {SKILL}
description: Mend names that are out of order.
---

Look first:

```bash
sort -c names.txt
```
"""


def command(index: int, text: str, content: str, exit_code: int = 0, message: str = "") -> Step:
    """A turn in which an agent ran one command."""
    call = ToolCall(call_id=f"c{index}", name="bash", arguments={"command": text})
    gave = ToolOutput(call_id=f"c{index}", content=content, exit_code=exit_code, duration_s=0.5)
    return Step(
        index=index,
        kind=StepKind.AGENT,
        message=message,
        calls=(call,),
        outputs=(gave,),
        usage=Usage(input_tokens=1000 + index, output_tokens=20),
        at=START + timedelta(seconds=2 * index),
    )


def conversation(task: str, commands: Sequence[Step]) -> Trajectory:
    """What an agent was told, and what it did."""
    told = (
        Step(index=0, kind=StepKind.SYSTEM, message="Be exact.", at=START),
        Step(index=1, kind=StepKind.USER, message=f"Do {task}.", at=START),
    )
    return Trajectory(
        steps=(*told, *commands), stop_reason=StopReason.SUBMITTED, submission="Done."
    )


def keep_attempt(
    ledger: Ledger,
    run_key: str,
    task: str,
    trajectory: Trajectory,
    *,
    passed: bool,
    commit: str = "",
    read: bool = False,
    minute: int = 0,
    tests: tuple[TestResult, ...] = (),
    **changes: Any,
) -> str:
    """Write one attempt as a run does; return its id."""
    key = f"{task}-{run_key}"
    began = START + timedelta(minutes=minute)
    verdict = Verdict(
        reward=float(passed),
        passed=passed,
        tests=tests
        or (
            TestResult(name="test_there", status="passed"),
            TestResult(
                name="test_sorted",
                status="passed" if passed else "failed",
                message="" if passed else f"AssertionError: zoe before adam {HOSTILE}",
            ),
        ),
    )
    told: dict[str, Any] = {
        "episode_id": key,
        "run_key": run_key,
        "agent_id": AGENT,
        "purpose": Purpose.GRIND,
        "task_id": task,
        "category": "text",
        "workspace_commit": commit,
        "model": "messages:some",
        "profile": "strands",
        "cycle": 1,
        "outcome": Outcome.PASSED if passed else Outcome.FAILED,
        "failure_class": "none" if passed else "test_fail",
        "reward": float(passed),
        "score": float(passed),
        "tests_passed": verdict.tests_passed,
        "tests_total": 2,
        "stop_reason": "submitted",
        "turns": len(trajectory.steps) - 2,
        "cost_usd": 0.25,
        "usage": trajectory.usage,
        "started_at": began,
        "ended_at": began + timedelta(seconds=30),
    }
    whole, steps = trajectory_rows(key, trajectory)
    row, graded = verdict_rows(key, verdict)
    use = SkillUseRow(
        episode_id=key, skill=SKILL, loaded=read, followed=read, selection_method="all"
    )
    for rows in ([whole], steps, [row], graded, [use], [Episode.model_validate(told | changes)]):
        ledger.append(rows, run_key=run_key)
    return key


def keep_state(ledger: Ledger, run_key: str, status: str, sequence: int = 0, day: int = 0) -> None:
    """Write how a run stands."""
    row = RunRow(
        run_key=run_key,
        sequence=sequence,
        kind="grind",
        status=status,
        agent_id=AGENT,
        model="messages:some",
        n_tasks=3,
        at=START + timedelta(days=day, minutes=5 * sequence),
    )
    ledger.append([row], run_key=run_key)


def make_home(folder: Path) -> Home:
    """Make the home: `early` and `late`, with evo-1 between them."""
    home = Home.at(folder)
    ledger = Ledger(home)
    workspace = Workspace.create(home.workspace(AGENT), bundled("seed_workspaces/terminal"))
    before = workspace.snapshot().commit
    with workspace.writing() as root:
        path = root / "skills" / SKILL / "SKILL.md"
        path.parent.mkdir(parents=True)
        path.write_text(SKILL_TEXT, "utf-8")
        evolution = workspace.commit_evolution(1, f"added {SKILL}", step="early/evolve-1")

    for run_key in ("early", "late"):
        keep_state(ledger, run_key, "running", day=run_key == "late")
    stuck = [
        command(2, "ls", "names.txt\n"),
        command(3, "sort names.txt", HOSTILE, exit_code=1, message=f"I sort. {HOSTILE}"),
        *(command(index, "sort names.txt", "again\n") for index in (4, 5)),
    ]
    keep_attempt(
        ledger, "early", "sort-names", conversation("sort-names", stuck), passed=False,
        commit=before, minute=1,
    )  # fmt: skip
    plain = [command(2, "ls", "numbers.txt\n"), command(3, "paste -sd+ | bc", "42\n")]
    keep_attempt(
        ledger, "early", "add-up", conversation("add-up", plain), passed=True, commit=before,
        minute=2,
    )  # fmt: skip
    skilled = [
        command(2, "ls", "names.txt\n"),
        command(3, f"cat /root/.agents/skills/{SKILL}/SKILL.md", SKILL_TEXT),
        command(4, "sort -c names.txt || sort -o names.txt names.txt", "sorted\n"),
    ]
    keep_attempt(
        ledger, "late", "sort-names", conversation("sort-names", skilled), passed=True,
        commit=evolution.commit, read=True, minute=1441,
    )  # fmt: skip
    keep_attempt(
        ledger, "late", "add-up", conversation("add-up", plain), passed=False,
        commit=evolution.commit, minute=1442,
    )  # fmt: skip
    long = [command(index, f"echo {index}", f"line {index}\n") for index in range(2, 2000)]
    keep_attempt(
        ledger, "late", "long-walk", conversation("long-walk", long), passed=False,
        commit=evolution.commit, minute=1443,
    )  # fmt: skip

    learned = EvolutionRow(
        run_key="early", evo_number=1, agent_id=AGENT, cycle=1, task_ids=("sort-names",),
        commit_before=before, commit_after=evolution.commit, skills_added=(SKILL,), at=START,
    )  # fmt: skip
    skill = SkillRow(
        run_key="early", agent_id=AGENT, skill=SKILL, skill_digest="d", evo_number=1,
        description="Mend names that are out of order.", learned_from=("sort-names",),
    )  # fmt: skip
    ledger.append([learned], run_key="early")
    ledger.append([skill], run_key="early")
    keep_answer(home, "late", "sort-names-late")
    for run_key in ("early", "late"):
        keep_state(ledger, run_key, "completed", 1, day=run_key == "late")
    return home


def keep_answer(home: Home, run_key: str, episode_id: str) -> None:
    """Write a model's first answer into a run's journal."""
    site = CallSite(role=Role.SOLVER, scope=episode_id, turn=0)
    usage = Usage(input_tokens=1002, output_tokens=20)
    record = CallRecord(
        call_id="0123abcd", run_key=run_key, role=Role.SOLVER, scope=episode_id, turn=0,
        model="some", provider="messages", usage=usage, started_at=START, duration_s=1.5,
    )  # fmt: skip
    answer = Response(
        content=(Text(text="I look."),), stop_reason="tool_use", usage=usage, model="some"
    )
    journal = Journal(home.run(run_key).journal)
    journal.append(site, JournalEntry(record=record, response=answer))
