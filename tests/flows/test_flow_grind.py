"""The grind, offline and whole: real sandbox, real HTTP, real git, real parquet, real server."""

from collections import Counter
from pathlib import Path

import pytest
from prefect import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterName,
    FlowRunFilterState,
    FlowRunFilterStateName,
    FlowRunFilterTags,
)

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]


async def test_a_failed_task_is_learned_from_and_passed(tmp_path: Path, prefect_server: str):
    from grindstone.flows.grind import grind
    from grindstone.ledger import Ledger
    from grindstone.ledger.tables.runs import EvolutionRow
    from grindstone.records import Episode
    from grindstone.settings import GrindSettings
    from grindstone.workspace import Workspace

    finished = await grind(
        GrindSettings(
            work_dir=tmp_path, task_ids=["branch-sales"], model_id="rehearsal", max_cycles=3
        )
    )
    report = finished.report
    assert (report.passed, report.n_tasks) == (1, 1)
    assert report.needed_grinding == report.resolved_by_grinding == 1
    assert report.rehearsal

    ledger = Ledger(tmp_path)
    episodes = sorted(ledger.rows(Episode, report.run_key), key=lambda row: row.cycle)
    assert [row.outcome.value for row in episodes] == ["failed", "passed"]
    assert episodes[0].workspace_tree != episodes[1].workspace_tree
    evolved = [row for row in ledger.rows(EvolutionRow, report.run_key) if row.evo_number]
    assert evolved[0].skills_added

    workspace = Workspace.open(tmp_path / "agents" / "skillbench" / "workspace")
    assert [ref.number for ref in workspace.evolutions()] == [1]
    assert set(evolved[0].skills_added) <= set(workspace.library.names())
    assert (finished.folder / "report.md").read_text().startswith("# Rehearsal: 1 of 1")

    # Prefect's lists tell the two apart, by name and by state, and are filtered by either.
    run_tag = FlowRunFilterTags(all_=[f"run:{report.run_key}"])
    marked = FlowRunFilterName(like_="✗")
    named = FlowRunFilterStateName(any_=["NotPassed"])
    async with get_client() as client:
        by_name = await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(tags=run_tag, name=marked)
        )
        by_state = await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(tags=run_tag, state=FlowRunFilterState(name=named))
        )
    [failed] = by_name
    assert [run.id for run in by_state] == [failed.id]
    assert failed.name == "✗ branch-sales · cycle 1 · 0/5 tests passed"
    assert failed.state is not None
    assert failed.state.is_completed()
    assert failed.state.message == "0/5 tests passed"


async def test_the_same_run_key_finds_everything_done(tmp_path: Path, prefect_server: str):
    from grindstone.flows.grind import grind
    from grindstone.ledger import Ledger
    from grindstone.records import Episode
    from grindstone.runs.progress import Progress, Spent, TurnEnded, watching
    from grindstone.settings import GrindSettings

    settings = GrindSettings(
        work_dir=tmp_path, task_ids=["crlf-kit"], model_id="rehearsal", run_key="twice"
    )
    lived: list[Progress] = []
    with watching(lived.append):
        first = (await grind(settings)).report
    rows = Ledger(tmp_path).rows(Episode, "twice")
    spends = [event.spend for event in lived if isinstance(event, Spent)]
    assert spends[0].told == "", "nothing before the first answer"
    assert spends[-1].usage.total_tokens == first.total_tokens
    turns = [event.episode_id for event in lived if isinstance(event, TurnEnded)]
    assert Counter(turns) == {row.episode_id: row.turns for row in rows}
    mine = tmp_path / "agents" / "skillbench" / "workspace" / "memory" / "mine.md"
    mine.write_text("by hand")
    told: list[Progress] = []
    with watching(told.append):
        second = (await grind(settings)).report
    [how] = [str(event) for event in told if "set aside" in str(event)]
    assert "cherry-pick" in how and not mine.exists()
    assert Ledger(tmp_path).rows(Episode, "twice") == rows
    assert second.tasks == first.tasks
    assert second.total_tokens == first.total_tokens
    assert next(event.spend for event in told if isinstance(event, Spent)).told == spends[-1].told


async def test_a_run_key_of_another_run_is_refused(tmp_path: Path, prefect_server: str):
    from grindstone.errors import InputError
    from grindstone.flows.grind import grind
    from grindstone.settings import GrindSettings

    settings = GrindSettings(
        work_dir=tmp_path,
        task_ids=["crlf-kit"],
        model_id="rehearsal",
        run_key="mine",
        max_cycles=1,
        native_profile="nop",
    )
    await grind(settings)
    with pytest.raises(InputError, match=r"max_cycles was 1, now 2"):
        await grind(settings.model_copy(update={"max_cycles": 2}))
