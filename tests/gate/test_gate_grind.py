"""A grind with a gate keeps nothing that does harm; without one it does."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response
from support import harmful
from support.harmful import in_one_category, seed_that_holds_out
from support.wiretap import Body, Wiretap

from grindstone.benchmark import load_task
from grindstone.errors import InputError
from grindstone.evolve.rejected import rejected_changes
from grindstone.flows.grind import grind
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import EglRow, EvolutionRow, GateDecisionRow
from grindstone.records import Episode, Purpose
from grindstone.report.markdown import render_markdown
from grindstone.report.run_report import build_report
from grindstone.resources import bundled
from grindstone.settings import GrindSettings
from grindstone.workspace import Workspace

pytestmark = [
    pytest.mark.catalogue(of="gates"),
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.timeout(300),
]

EASY = {"plain-inventory", "errors-by-hour"}
RATIO = 0.5


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    for task_id in (*EASY, "crlf-kit", "visitor-report"):
        shutil.copytree(bundled("examples/tasks") / task_id, tmp_path / "tasks" / task_id)
    return in_one_category(tmp_path / "tasks")


def settings(home: Path, tasks: Path, held: set[str], **more: Any) -> GrindSettings:
    given = {
        "work_dir": home,
        "tasks_dir": tasks,
        "model_id": "rehearsal",
        "max_workers": 4,
        "max_cycles": 2,
        "batch_size": 2,
        "task_skill_mode": "off",
        "success_mode": "off",
        "holdout_ratio": RATIO,
        "split_seed": seed_that_holds_out(tasks, held, RATIO),
        "run_key": "run",
    }
    return GrindSettings.model_validate(given | more)


def workspace_of(home: Path) -> Workspace:
    return Workspace.open(home / "agents" / "skillbench" / "workspace")


async def test_a_harmful_evolution_is_undone_and_not_weighed_twice(
    tmp_path: Path, tasks: Path, tap: Wiretap, prefect_server: str
):
    tap.instead = harmful.evolver
    done = await grind(settings(tmp_path, tasks, EASY))
    ledger, workspace = Ledger(tmp_path), workspace_of(tmp_path)

    [decision] = ledger.rows(GateDecisionRow, "run")
    assert not decision.accepted
    assert (decision.baseline_mean, decision.candidate_mean) == (1.0, 0.0)
    assert workspace.snapshot().tree == workspace.snapshot("seed").tree
    assert {"pre-evo-1", "evo-1", "rejected-evo-1"} <= set(workspace.repository.tags())
    [undone] = [row for row in ledger.rows(EvolutionRow, "run") if not row.accepted]
    assert undone.evo_number == 1

    episodes = ledger.rows(Episode, "run")
    trained = {row.task_id for row in episodes if row.purpose is Purpose.GRIND}
    assert trained == {"crlf-kit", "visitor-report"}, "held-out tasks are never trained on"
    taught = {task for row in ledger.rows(EvolutionRow, "run") for task in row.task_ids}
    assert not taught & EASY
    # The second cycle proposed the same: refused, with no attempt paid.
    assert {row.cycle for row in episodes if row.purpose is Purpose.GATE} == {1}
    evolved = [row for row in ledger.rows(EvolutionRow, "run") if row.step == "evolve"]
    assert [[each.rule for each in row.refusals] for row in evolved] == [[], ["rejected_before"]]
    assert not any(task_id in request for request in tap.of("evolver") for task_id in EASY)
    assert {row.new_skills for row in ledger.rows(EglRow, "run")} == {0}
    assert done.report.learned == ()
    assert [gate.accepted for gate in done.report.gates] == [False]

    asked = len(tap.bodies)
    again = await grind(settings(tmp_path, tasks, EASY))
    assert len(tap.bodies) == asked, "a resumed run asks nothing again"
    assert again.report.gates == done.report.gates


async def test_what_a_gate_has_not_weighed_to_its_end_does_not_stand(
    tmp_path: Path, tasks: Path, tap: Wiretap, prefect_server: str
):
    """A run that ends within a gate may never go on, and others begin with the workspace."""
    held = [load_task(tasks / name).instruction[:80] for name in EASY]
    running: list[asyncio.Task[Any]] = []
    evolved: list[bool] = []

    def instead(body: Body) -> Response | None:
        answer = harmful.evolver(body)
        if answer is not None:
            evolved.append(True)
            return answer
        asked = "".join(part["text"] for part in body["messages"][0]["content"])
        if evolved and running and any(text in asked for text in held):
            running.pop().cancel()
        return None

    tap.instead = instead
    running.append(asyncio.create_task(grind(settings(tmp_path, tasks, EASY, max_cycles=1))))
    with pytest.raises(BaseException):  # noqa: B017 - as Prefect words a cancellation
        await asyncio.shield(running[0])
    workspace = workspace_of(tmp_path)
    assert not running, "it was called off within the gate"
    assert harmful.NAME not in workspace.library.names()
    assert workspace.snapshot().tree == workspace.snapshot("seed").tree
    report = build_report(Ledger(tmp_path), "run")
    assert not report.gates
    assert not report.learned

    done = await grind(settings(tmp_path, tasks, EASY, max_cycles=1))
    assert [(gate.accepted, gate.n_pairs) for gate in done.report.gates] == [(False, 2)]
    assert workspace.snapshot().tree == workspace.snapshot("seed").tree
    assert len(rejected_changes(workspace)) == 1, "what was weighed is known, not an empty change"
    assert len(evolved) == 2, "the evolution was not made again"


async def test_a_refusal_lapses_with_what_the_change_was_weighed_on(
    tmp_path: Path, tasks: Path, tap: Wiretap, prefect_server: str
):
    tap.instead = harmful.evolver
    once = {"max_cycles": 1}
    await grind(settings(tmp_path, tasks, EASY, **once))
    await grind(settings(tmp_path, tasks, EASY, run_key="again", **once))
    ledger = Ledger(tmp_path)
    assert not ledger.rows(GateDecisionRow, "again"), "nothing has changed: refused"

    inventory = tasks / "plain-inventory" / "instruction.md"
    inventory.write_text(inventory.read_text() + "\nMind the header.\n")
    done = await grind(settings(tmp_path, tasks, EASY, run_key="other-tasks", **once))
    [gate] = ledger.rows(GateDecisionRow, "other-tasks")
    assert not gate.accepted
    assert "the same change was rejected in run run; since then the held-out tasks changed" in (
        render_markdown(done.report)
    )
    done = await grind(settings(tmp_path, tasks, EASY, run_key="same-again", **once))
    assert not done.report.gates, "the last verdict on these tasks stands"


@pytest.mark.parametrize("seen", [True, False])
async def test_a_change_that_no_gate_saw_is_weighed_when_it_comes_again(
    tmp_path: Path, tasks: Path, tap: Wiretap, prefect_server: str, seen: bool
):
    """An outage during a gate says nothing about what it weighed."""
    held = [load_task(tasks / name).instruction[:80] for name in EASY]
    refused = {"type": "error", "error": {"type": "authentication_error", "message": "no key"}}
    cycles: list[int] = []

    def instead(body: Body) -> Response | None:
        answer = harmful.evolver(body)
        if answer is not None:
            cycles.extend([1] * (len(body["messages"]) == 1))
            return answer
        asked = "".join(part["text"] for part in body["messages"][0]["content"])
        at_a_gate = len(cycles) == 1 and any(text in asked for text in held)
        return JSONResponse(refused, 401) if at_a_gate and not seen else None

    tap.instead = instead
    await grind(settings(tmp_path, tasks, EASY))
    ledger = Ledger(tmp_path)
    decisions = ledger.rows(GateDecisionRow, "run")
    assert [(row.n_pairs, row.accepted) for row in decisions] == (
        [(2, False)] if seen else [(0, False), (2, False)]
    )
    evolved = [row for row in ledger.rows(EvolutionRow, "run") if row.step == "evolve"]
    assert [[each.rule for each in row.refusals] for row in evolved] == [
        [],
        ["rejected_before"] if seen else [],
    ]


async def test_without_a_gate_the_harm_stays(
    tmp_path: Path, tasks: Path, tap: Wiretap, prefect_server: str
):
    tap.instead = harmful.evolver
    await grind(settings(tmp_path, tasks, EASY, holdout_ratio=0.0, max_cycles=1, batch_size=1))
    ledger = Ledger(tmp_path)
    assert harmful.NAME in workspace_of(tmp_path).library.names()
    assert not ledger.rows(GateDecisionRow, "run")
    spoiled = [row for row in ledger.rows(Episode, "run") if row.task_id in EASY]
    assert any(row.passed is False for row in spoiled)


async def test_a_harmful_promotion_is_undone_and_its_draft_kept(
    tmp_path: Path, tasks: Path, tap: Wiretap, prefect_server: str
):
    held = {"errors-by-hour", "crlf-kit"}
    tap.instead = harmful.writer("distillation")
    given = {"success_mode": "gated_promotion", "evolver_model_id": "rehearsal", "max_cycles": 1}
    done = await grind(settings(tmp_path, tasks, held, **given))
    ledger, workspace = Ledger(tmp_path), workspace_of(tmp_path)
    rows = {row.gate_id: row for row in ledger.rows(GateDecisionRow, "run")}
    assert not rows["batch-1-cycle-1-promote"].accepted
    assert harmful.NAME not in workspace.library.names()
    assert (workspace.root / "skills/_drafts" / f"{harmful.NAME}.md").is_file()
    first = workspace.evolutions()[0]
    assert (first.number, first.rejected) == (1, True)
    assert first.message == f"Evolution 1: promote {harmful.NAME}"
    [promoted] = [
        row
        for row in ledger.rows(EvolutionRow, "run")
        if row.step.endswith("promote") and row.accepted
    ]
    assert (promoted.evo_number, promoted.task_ids) == (1, ("plain-inventory",))
    assert harmful.NAME not in {each.skill for each in done.report.learned}


async def test_one_task_leaves_none_to_hold_out(
    tmp_path: Path, tasks: Path, tap: Wiretap, prefect_server: str
):
    with pytest.raises(InputError, match="holdout_ratio"):
        await grind(settings(tmp_path, tasks, EASY, task_ids=["crlf-kit"]))
    assert not Ledger(tmp_path).rows(Episode)
