"""Errors nobody foresaw, in each step of a run: they cost that step, and are counted.

They are raised where a run lets others' code in (who watches it), by the file system, or by what
a model, a task or a test file holds.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from grindstone.benchmark import load_task
from grindstone.benchmark.checking import check_task
from grindstone.boundary import FORESEEN
from grindstone.flows.grind import grind
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import IncidentRow, RunRow
from grindstone.records import Episode
from grindstone.report.markdown import headline
from grindstone.report.run_report import build_report
from grindstone.resources import bundled
from grindstone.runs.progress import (
    Advanced,
    AttemptBegan,
    Learned,
    Progress,
    Watcher,
    watching,
)
from grindstone.sandbox import open_provider
from grindstone.settings import GrindSettings
from grindstone.workspace import Workspace

pytestmark = [
    pytest.mark.catalogue(of="steps that break"),
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.timeout(300),
]

ERRORS = [
    RecursionError("maximum recursion depth exceeded"),
    ValueError("Exceeds the limit (4300 digits)"),
    OSError(36, "File name too long"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
]
assert not any(isinstance(error, FORESEEN) for error in ERRORS)


def raising(when: Callable[[Progress], Exception | None]) -> Watcher:
    """A watcher that fails at some of what it is told, as a terminal does that went away."""

    def watch(event: Progress) -> None:
        error = when(event)
        if error is not None:
            raise error

    return watch


def settings(home: Path, *task_ids: str, **more: Any) -> GrindSettings:
    given = {"work_dir": home, "task_ids": task_ids, "model_id": "rehearsal", "run_key": "K"}
    return GrindSettings.model_validate(given | {"task_skill_mode": "off"} | more)


def tracebacks(home: Path) -> list[str]:
    return [path.read_text() for path in sorted((home / "runs" / "K" / "internal").iterdir())]


async def test_attempts_that_break_are_unscored_and_a_resumed_run_makes_them(
    tmp_path: Path, prefect_server: str
):
    tasks = ("branch-sales", "crlf-kit", "deleted-branch", "dropped-stash", "errors-by-hour")
    broken = dict(zip(tasks, ERRORS, strict=False))

    def at_an_attempt(event: Progress) -> Exception | None:
        return broken.get(event.task_id) if isinstance(event, AttemptBegan) else None

    given = settings(
        tmp_path, *tasks, native_profile="nop", max_cycles=1, max_workers=3, batch_size=5
    )
    with watching(raising(at_an_attempt)):
        report = (await grind(given)).report
    assert report.status == "completed"
    assert (report.n_tasks, report.n_scored) == (5, 1)
    assert {(each.task_id, each.cause) for each in report.errors} == {
        (task, "internal") for task in broken
    }
    assert headline(report).endswith("4 without a score; 4 internal errors")
    kept = "\n".join(tracebacks(tmp_path))
    for error in broken.values():
        assert f"{type(error).__name__}: {error}" in kept
    assert kept.count("in watch") >= 4
    assert "Internal errors" in (tmp_path / "runs" / "K" / "report.md").read_text()

    report = (await grind(given)).report
    assert (report.n_scored, report.incidents) == (5, ())
    rows = Ledger(tmp_path).rows(IncidentRow, "K")
    assert sorted(row.settled for row in rows) == [False] * 4 + [True] * 4


async def test_evolutions_that_break_have_changed_nothing(tmp_path: Path, prefect_server: str):
    """Each breaks after its commit, which is the worst moment."""
    tasks = ("branch-sales", "crlf-kit", "deleted-branch", "visitor-report")
    left = list(ERRORS)

    def once_it_is_committed(event: Progress) -> Exception | None:
        return left.pop(0) if isinstance(event, Learned) else None

    with watching(raising(once_it_is_committed)):
        report = (await grind(settings(tmp_path, *tasks, max_cycles=1, success_mode="off"))).report
    assert (report.status, report.n_scored) == ("completed", 4)
    assert [each.step for each in report.incidents] == [
        f"evolution batch-{number}/cycle-1" for number in (1, 2, 3, 4)
    ]
    assert "4 internal errors" in headline(report)
    kept = "\n".join(tracebacks(tmp_path))
    assert all(f"{type(error).__name__}: {error}" in kept for error in ERRORS)
    episodes = Ledger(tmp_path).rows(Episode, "K")
    [tree] = {episode.workspace_tree for episode in episodes}
    workspace = Workspace.open(tmp_path / "agents" / "skillbench" / "workspace")
    assert workspace.snapshot().tree == tree
    assert [evolved.rejected for evolved in workspace.evolutions()] == [True] * 4
    assert not report.learned


async def test_a_skill_that_cannot_be_written_costs_itself(tmp_path: Path, prefect_server: str):
    def at_a_task_skill(event: Progress) -> Exception | None:
        learned = isinstance(event, Learned) and event.subject == "task skill"
        return ERRORS[0] if learned else None

    given = settings(tmp_path, "branch-sales", max_cycles=2, task_skill_mode="retry_only")
    with watching(raising(at_a_task_skill)):
        report = (await grind(given)).report
    assert (report.status, report.passed) == ("completed", 1)  # by what the evolution taught
    assert [each.step for each in report.incidents] == [
        "writing batch-1/cycle-1/task_skill-branch-sales"
    ]
    workspace = Workspace.open(tmp_path / "agents" / "skillbench" / "workspace")
    assert workspace.library.task_skill("branch-sales") is None


@pytest.mark.bubblewrap
async def test_a_task_whose_image_cannot_be_built_costs_itself(tmp_path: Path, prefect_server: str):
    """Its own skill would be the first to miss the image, before any attempt does."""
    tasks = tmp_path / "tasks"
    for name in ("a-broken", "plain-inventory"):
        shutil.copytree(bundled("examples/tasks/plain-inventory"), tasks / name)
    with (tasks / "a-broken" / "environment" / "Dockerfile").open("a") as dockerfile:
        dockerfile.write("\nRUN exit 3\n")
    told: list[Progress] = []
    given = settings(
        tmp_path,
        *("a-broken", "plain-inventory"),
        tasks_dir=tasks,
        sandbox="bubblewrap",
        max_cycles=1,
        task_skill_mode="pre_generate_and_retry",
    )
    with watching(told.append):
        report = (await grind(given)).report
    assert (report.status, report.n_tasks, report.n_scored) == ("completed", 2, 1)
    assert [(each.task_id, each.cause) for each in report.errors] == [("a-broken", "image_build")]
    assert not report.incidents
    assert any("task_skill-a-broken-first: not written" in str(event) for event in told)


async def test_plots_that_cannot_be_kept_cost_themselves(tmp_path: Path, prefect_server: str):
    given = settings(tmp_path, "crlf-kit", "visitor-report", native_profile="nop", max_cycles=1)
    (tmp_path / "runs" / "K").mkdir(parents=True)
    (tmp_path / "runs" / "K" / "plots").write_text("a file where a folder belongs")
    finished = await grind(given)
    assert finished.report.n_scored == 2
    assert [each.step for each in finished.report.incidents] == ["plots"]
    assert build_report(Ledger(tmp_path), "K").incidents == finished.report.incidents
    kept = json.loads((finished.folder / "report.json").read_text())
    assert (kept["n_scored"], len(kept["incidents"])) == (2, 1)

    (tmp_path / "runs" / "K" / "plots").unlink()
    report = (await grind(given)).report
    assert (report.n_scored, report.incidents) == (2, ()), "drawn at last, and nothing is lost"


async def test_what_breaks_between_the_steps_is_told_in_a_sentence(
    tmp_path: Path, prefect_server: str
):
    from grindstone.errors import InternalError

    def at_a_batch(event: Progress) -> Exception | None:
        return ERRORS[1] if isinstance(event, Advanced) else None

    given = settings(tmp_path, "crlf-kit", native_profile="nop", max_cycles=1)
    with watching(raising(at_a_batch)), pytest.raises(InternalError, match="4300 digits"):
        await grind(given)
    last = max(Ledger(tmp_path).rows(RunRow, "K"), key=lambda row: row.sequence)
    assert (last.status, last.present_status) == ("failed", "failed")
    assert "4300 digits" in last.note
    assert build_report(Ledger(tmp_path), "K").incidents[0].step == "run K"
    assert (await grind(given)).report.incidents == ()


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_a_check_of_a_task_that_breaks_is_an_answer(error: Exception):
    async def solve(_task: object, _sandbox: object) -> str:
        raise error

    provider = await open_provider("auto")
    try:
        task = load_task(bundled("examples/tasks") / "crlf-kit")
        report = await check_task(task, provider, oracle=solve)
    finally:
        await provider.close()
    assert not report.ok
    oracle, nop = report.stage("oracle"), report.stage("nop")
    assert oracle is not None and oracle.status == "error"
    assert type(error).__name__ in oracle.detail
    assert report.lost == (oracle.detail,)
    assert nop is not None and nop.status == "ok"
