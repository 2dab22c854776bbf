"""How agents and tasks went over the runs of a home."""

from collections import defaultdict
from typing import Any

from grindstone.ledger import Ledger, queries
from grindstone.ledger.intervals import wilson
from grindstone.records import Episode, Outcome
from grindstone.report.run_list import list_runs
from grindstone.view.documents import AgentTrend, TaskMark, TaskTrend, TrendPoint, TrendsDocument


def trends_document(ledger: Ledger) -> TrendsDocument:
    """Return each agent's pass rate per run, and each task's last outcome per run.

    A task counts once per run, by its last scored attempt of those the run is about.
    """
    marks: defaultdict[tuple[str, str], list[TaskMark]] = defaultdict(list)
    points: defaultdict[str, list[TrendPoint]] = defaultdict(list)
    for run in list_runs(ledger):
        if not run.attempts:
            continue
        frame = queries.latest(queries.main_attempts(ledger.scan(Episode, run.run_key)))
        tasks: list[dict[str, Any]] = queries.by_task(frame).collect().to_dicts()
        scored = [row for row in tasks if row["passed"] is not None]
        for row in scored:
            marks[run.agent_id, row["task_id"]].append(
                TaskMark(
                    run_key=run.run_key,
                    episode_id=row["episode_id"],
                    outcome=Outcome.PASSED if row["passed"] else Outcome.FAILED,
                )
            )
        passed = sum(row["passed"] for row in scored)
        if (rate := wilson(passed, len(scored))) is not None:
            points[run.agent_id].append(
                TrendPoint(
                    run_key=run.run_key,
                    kind=run.kind,
                    at=run.started_at,
                    tasks=len(scored),
                    passed=passed,
                    low=rate.low,
                    high=rate.high,
                )
            )
    return TrendsDocument(
        agents=tuple(
            AgentTrend(
                agent_id=agent_id,
                points=tuple(found),
                tasks=tuple(
                    TaskTrend(task_id=task, marks=tuple(row))
                    for (agent, task), row in sorted(marks.items())
                    if agent == agent_id
                ),
            )
            for agent_id, found in sorted(points.items())
        )
    )
