"""A small run written through the public ledger: five tasks, two cycles, two skills."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from grindstone.ledger.store import Ledger
from grindstone.ledger.tables.attempts import SkillUseRow, trajectory_rows, verdict_rows
from grindstone.ledger.tables.runs import EglRow, EvolutionRow, Refusal, RunRow, SkillRow
from grindstone.llm.calls import CallRecord
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

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
RUN = "demo"

# task, category, difficulty, outcome in cycle 1, outcome in cycle 2
TASKS = (
    ("csv-totals", "data", "easy", "failed", "passed"),
    ("json-merge", "data", "medium", "passed", None),
    ("log-count", "logs", "easy", "failed", "failed"),
    ("log-window", "logs", "hard", "error", "passed"),
    ("tag-release", "git", "medium", "error", None),
)


def make_episode(episode_id: str = "e", **changes: object) -> Episode:
    values: dict[str, object] = {
        "episode_id": episode_id,
        "run_key": RUN,
        "agent_id": "skillbench",
        "purpose": Purpose.GRIND,
        "task_id": "csv-totals",
        "outcome": Outcome.PASSED,
        "started_at": START,
        "ended_at": START + timedelta(seconds=5),
    }
    return Episode.model_validate({**values, **changes})


def make_trajectory() -> Trajectory:
    call = ToolCall(call_id="c1", name="bash", arguments={"command": "ls | wc -l", "deep": [1]})
    output = ToolOutput(call_id="c1", content="3\n", exit_code=0, duration_s=0.1)
    bad = ToolOutput(call_id="c2", content="no such tool", is_error=True)
    return Trajectory(
        steps=(
            Step(index=0, kind=StepKind.SYSTEM, message="Be exact.", at=START),
            Step(index=1, kind=StepKind.USER, message="Count the files.", at=START),
            Step(
                index=2,
                kind=StepKind.AGENT,
                message="I look.",
                reasoning="Files can be counted.",
                calls=(call, ToolCall(call_id="c2", name="fly")),
                outputs=(output, bad),
                usage=Usage(input_tokens=10, output_tokens=5, cache_read_tokens=7),
                at=START + timedelta(seconds=1),
            ),
            Step(index=3, kind=StepKind.SUMMARY, message="So far: 3 files.", at=START),
            Step(index=4, kind=StepKind.AGENT, message="Done: 3.", at=START),
        ),
        stop_reason=StopReason.SUBMITTED,
        submission="Done: 3.",
    )


def write_run(ledger: Ledger, run_key: str = RUN, *, rehearsal: bool = True) -> None:
    episodes: list[Episode] = []
    calls: list[CallRecord] = []
    minute = 0
    for task_id, category, difficulty, *outcomes in TASKS:
        for cycle, outcome in enumerate(outcomes, start=1):
            if outcome is None:
                continue
            minute += 1
            episode_id = f"{task_id}-{cycle}"
            began = START + timedelta(minutes=minute)
            episodes.append(
                make_episode(
                    episode_id,
                    run_key=run_key,
                    task_id=task_id,
                    category=category,
                    difficulty=difficulty,
                    cycle=cycle,
                    outcome=Outcome(outcome),
                    reward=None if outcome == "error" else float(outcome == "passed"),
                    error_cause="container_lost" if outcome == "error" else "",
                    error_detail="gone | at\nonce <b>" if outcome == "error" else "",
                    tests_passed=2 if outcome == "passed" else 0,
                    tests_total=0 if outcome == "error" else 2,
                    model="rehearsal" if rehearsal else "claude-x",
                    profile="strands",
                    sandbox="docker",
                    rehearsal=rehearsal,
                    started_at=began,
                    ended_at=began + timedelta(seconds=20),
                )
            )
            calls.append(
                CallRecord(
                    call_id=episode_id,
                    run_key=run_key,
                    role=Role.SOLVER,
                    scope=episode_id,
                    turn=0,
                    task_id=task_id,
                    model="m",
                    provider="anthropic",
                    usage=Usage(input_tokens=1000, output_tokens=100),
                    lost=Usage(input_tokens=1),
                    cost_usd=None if task_id == "json-merge" else 0.01,
                    started_at=began,
                    duration_s=1.0,
                )
            )
    ledger.append(episodes, run_key=run_key)
    ledger.append(calls, run_key=run_key)
    for episode in episodes:
        whole, steps = trajectory_rows(episode.episode_id, make_trajectory())
        ledger.append([whole], run_key=run_key)
        ledger.append(steps, run_key=run_key)
        if episode.passed is None:
            continue
        verdict = Verdict(
            reward=float(episode.passed),
            passed=episode.passed,
            tests=(TestResult(name="test_a", status="passed" if episode.passed else "failed"),),
        )
        row, tests = verdict_rows(episode.episode_id, verdict)
        ledger.append([row], run_key=run_key)
        ledger.append(tests, run_key=run_key)
    ledger.append(
        [
            SkillUseRow(episode_id="csv-totals-2", skill="csv-data", loaded=True, followed=True),
            SkillUseRow(episode_id="log-window-2", skill="csv-data", loaded=True),
            SkillUseRow(episode_id="log-count-2", skill="csv-data", loaded=False),
        ],
        run_key=run_key,
    )
    ledger.append(
        [
            EvolutionRow(
                run_key=run_key,
                evo_number=1,
                agent_id="skillbench",
                task_ids=("csv-totals", "log-count"),
                skills_added=("csv-data",),
                skills_after=("csv-data",),
                refusals=(Refusal(path="prompts/system.md", rule="evolve_prompts", reason="off"),),
                at=START + timedelta(minutes=5),
            )
        ],
        run_key=run_key,
    )
    ledger.append(
        [
            SkillRow(
                run_key=run_key,
                skill="csv-data",
                skill_digest="d1",
                description="Use when totals | of a CSV are asked for.",
                evo_number=1,
                learned_from=("csv-totals",),
            )
        ],
        run_key=run_key,
    )
    ledger.append(
        [
            EglRow(run_key=run_key, index=0, new_skills=1, tasks_solved=1, egl=1000.0),
            EglRow(run_key=run_key, index=1, new_skills=0, tasks_solved=3, egl=0.0, converged=True),
        ],
        run_key=run_key,
    )
    ledger.append(
        [
            RunRow(
                run_key=run_key,
                sequence=0,
                kind="grind",
                status="completed",
                agent_id="skillbench",
                rehearsal=rehearsal,
                settings={"max_cycles": 2},
                at=START,
            )
        ],
        run_key=run_key,
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


@pytest.fixture
def run(ledger: Ledger) -> Ledger:
    write_run(ledger)
    return ledger
