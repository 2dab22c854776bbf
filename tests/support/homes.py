"""What a run left in its home, without what time alone makes different."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from grindstone.ledger import Ledger
from grindstone.ledger.tables import TABLES
from grindstone.llm.volatile import masked
from grindstone.workspace import Workspace

OF_TIME = {
    *("at", "started_at", "ended_at", "duration_s", "written_ns"),
    *("commit_before", "commit_after", "workspace_commit"),  # a commit's id holds its time
    *("owner_host", "owner_pid", "owner_started"),  # each process is another one
}


def ledger_rows(home: Path, run_key: str) -> dict[str, Counter[str]]:
    """Return each table's rows as JSON, times left out; of the run's states the last one."""
    return {name: table_rows(home, run_key, name) for name in TABLES}


def table_rows(home: Path, run_key: str, name: str) -> Counter[str]:
    """Return one table's rows as JSON, times left out; of the run's states the last one."""
    rows = Ledger(home).scan(name, run_key).collect().to_dicts()
    if name == "runs":
        rows = [row | {"sequence": 0} for row in sorted(rows, key=_sequence)[-1:]]
    return Counter(json.dumps(timeless(row), default=str) for row in rows)


def report_of(home: Path, run_key: str) -> Any:
    """Return a run's report, times left out."""
    return timeless(json.loads((home / "runs" / run_key / "report.json").read_text()))


def history_of(home: Path, agent_id: str = "skillbench") -> dict[str, Any]:
    """Return the workspace's tags with their trees, and every commit's step and tree."""
    workspace = Workspace.open(home / "agents" / agent_id / "workspace")
    repository = workspace.repository
    return {
        "tags": {tag: repository.tree_of(commit) for tag, commit in repository.tags().items()},
        "commits": [
            (commit.subject, commit.tree, commit.trailers.get("step"))
            for commit in repository.log()
        ],
    }


def timeless(value: Any) -> Any:
    """Return JSON without times, and with what time changes in texts masked."""
    if isinstance(value, dict):
        return {key: timeless(each) for key, each in value.items() if key not in OF_TIME}
    if isinstance(value, list | tuple):
        return [timeless(each) for each in value]
    return masked(value) if isinstance(value, str) else value


def _sequence(row: dict[str, Any]) -> int:
    return int(row["sequence"])
