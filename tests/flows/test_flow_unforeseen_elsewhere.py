"""Errors nobody foresaw in the other flows: they cost a step there too, and are counted.

They are raised as in a grind: by who watches, and by a file where a folder belongs.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.teaching import evolve, said_again, taught

from grindstone.flows.adapt import adapt
from grindstone.flows.cli.output import finish, finish_run
from grindstone.flows.compete import compete
from grindstone.flows.exam import exam
from grindstone.flows.gate import gate
from grindstone.flows.route import route
from grindstone.graduation import GraduationService
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import GateDecisionRow
from grindstone.records import utc_now
from grindstone.report.markdown import headline
from grindstone.report.words import lost
from grindstone.resources import bundled
from grindstone.runs.progress import AttemptBegan, Learned, Note, Progress, watching
from grindstone.settings import (
    AdaptiveSettings,
    CompetencySettings,
    GateSettings,
    GraduationSettings,
    RouteSettings,
)
from grindstone.workspace import Workspace

pytestmark = [
    pytest.mark.catalogue(of="steps that break"),
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.timeout(300),
]

BUILDS = ("crlf-kit", "visitor-report", "ledger-package")


def at(home: Path, **more: Any) -> dict[str, Any]:
    return {"work_dir": home, "model_id": "rehearsal", "run_key": "K", "max_workers": 3} | more


def tracebacks(home: Path) -> str:
    return "\n".join(path.read_text() for path in (home / "runs" / "K" / "internal").iterdir())


def exit_code(end: Callable[[], None]) -> int:
    import typer

    with pytest.raises(typer.Exit) as ended:
        end()
    return ended.value.exit_code


def at_attempts(event: Progress) -> None:
    """A watcher that fails where an attempt begins."""
    if isinstance(event, AttemptBegan):
        raise RecursionError("maximum recursion depth exceeded")


@pytest.fixture
def no_folder_for_plots(tmp_path: Path) -> Iterator[Path]:
    """A home whose run K cannot keep what it draws."""
    (tmp_path / "runs" / "K").mkdir(parents=True)
    (tmp_path / "runs" / "K" / "plots").write_text("a file where a folder belongs")
    return tmp_path


@pytest.fixture
def workspace(no_folder_for_plots: Path) -> Workspace:
    place = no_folder_for_plots / "agents" / "skillbench" / "workspace"
    return Workspace.create(place, bundled("seed_workspaces/terminal"))


async def test_judge_and_evolver_of_an_adaptive_run(tmp_path: Path, prefect_server: str):
    """A judgement, then an evolution after its commit; what comes next is whole."""
    left = {
        "Judged crlf-kit": RecursionError("maximum recursion depth exceeded"),
        "Judged visitor-report": UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        "evo-1": OSError(36, "File name too long"),
        "evo-2": ValueError("Exceeds the limit (4300 digits)"),
    }
    raised = dict(left)

    def once_each(event: Progress) -> None:
        said = event.text if isinstance(event, Note) else ""
        said = event.subject if isinstance(event, Learned) else said
        for start in [each for each in left if said.startswith(each)]:
            raise left.pop(start)

    given = AdaptiveSettings.model_validate(
        at(tmp_path, task_ids=BUILDS, holdout_ratio=0.0, max_cycles=4)
    )
    with watching(once_each):
        report = (await adapt(given)).report
    assert not left, "each was raised"
    assert report.status == "completed"
    assert {each.step for each in report.incidents} == {
        "judgement of crlf-kit · cycle 1",
        "judgement of visitor-report · cycle 1",
        "evolution cycle-2",
        "evolution cycle-3",
    }
    kept = tracebacks(tmp_path)
    assert all(f"{type(error).__name__}: {error}" in kept for error in raised.values())
    assert headline(report).endswith("4 internal errors")
    assert report.learned, "the last cycle's"
    assert exit_code(lambda: finish_run(report)) == 3


async def test_a_gate(tmp_path: Path, workspace: Workspace, prefect_server: str):
    """Its page is lost; its decision is taken, kept and obeyed."""
    evolve(workspace, taught)
    evolve(workspace, said_again)
    given = at(tmp_path, task_ids=["crlf-kit"], native_profile="nop", gate_early_stop=False)
    done = await gate(GateSettings.model_validate(given | {"gate_rule": "no_regression"}))
    assert done.gated is not None
    assert [row.accepted for row in Ledger(tmp_path).rows(GateDecisionRow)] == [done.gated.accepted]
    steps = [each.step for each in done.report.incidents]
    assert "what is shown of the gate gate" in steps
    assert "internal error" in headline(done.report)
    assert exit_code(lambda: finish_run(done.report, ok=done.gated.accepted)) == 3


async def test_an_exam(tmp_path: Path, workspace: Workspace, prefect_server: str):
    service = GraduationService(tmp_path)
    now = utc_now()
    await service.record_episode(
        episode_id="ep-1",
        agent_id="bob",
        title="Quote a tractor",
        success=False,
        started_at=now,
        ended_at=now,
        actions=[{"text": "Quoted from memory."}],
    )
    case = bundled("examples/graduation/cases/quote-farm-tractor")
    await service.add_edge_case("ep-1", case, added_by="Grace")
    given = at(tmp_path, agent_id="skillbench", native_profile="nop")
    with watching(at_attempts):
        found = await exam(GraduationSettings.model_validate(given))
    assert [each.step for each in found.incidents] == ["attempt quote-farm-tractor"]
    assert not found.passed
    assert lost(found.incidents).startswith("1 internal error:")
    assert exit_code(lambda: finish(found.passed, lost=found.incidents)) == 3


async def test_a_routed_task_and_a_classifier(
    tmp_path: Path, workspace: Workspace, prefect_server: str
):
    given = at(
        tmp_path, task="crlf-kit", native_profile="oracle", member=["skillbench"], approved_by="Ada"
    )
    with watching(at_attempts):
        done = await route(RouteSettings.model_validate(given | {"allow_escalated": True}))
    assert done.status == "error"
    assert [each.step for each in done.incidents] == ["attempt crlf-kit"]
    assert exit_code(lambda: finish(True, lost=done.incidents)) == 3


async def test_a_scoring(tmp_path: Path, workspace: Workspace, prefect_server: str):
    given = at(tmp_path, task_ids=["crlf-kit"], native_profile="nop", probe=True, train="queue")
    done = await compete(CompetencySettings.model_validate(given | {"min_episodes": 1}))
    assert len(done.scorings) == 1
    assert [each.step for each in done.incidents] == ["what is shown of the scoring"]
    assert exit_code(lambda: finish(not done.note, lost=done.incidents)) == 3
