"""The anchor: what is better than a spoiled state, and worse than the run's start, is undone."""

from pathlib import Path

import pytest
from prefect import flow
from support.teaching import evolve, harmful, taught

from grindstone.blocks import BlockNames
from grindstone.flows.run import open_run
from grindstone.flows.weighing import weighed
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import GateDecisionRow
from grindstone.records import Episode
from grindstone.rehearsal import knowledge
from grindstone.resources import bundled
from grindstone.settings import GrindSettings
from grindstone.workspace import Workspace

pytestmark = [
    pytest.mark.catalogue(of="gates"),
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.timeout(400),
]

TASKS = ["crlf-kit", "deleted-branch", "dropped-stash"]


def one_mended(entry: knowledge.FieldKnowledge) -> str:
    return taught(entry) if entry.skill == "python2-era-builds" else harmful(entry)


async def test_a_change_above_the_best_but_below_the_start_is_undone(
    tmp_path: Path, prefect_server: str
):
    folder = tmp_path / "agents" / "skillbench" / "workspace"
    workspace = Workspace.create(folder, bundled("seed_workspaces/terminal"))
    evolve(workspace, taught)
    given = {"work_dir": tmp_path, "task_ids": TASKS, "model_id": "rehearsal", "run_key": "run"}
    settings = GrindSettings.model_validate(
        given | {"native_profile": "strands", "max_workers": 4, "gate_alpha": 0.3}
    )

    @flow(name="anchored", persist_result=False)
    async def run_it() -> None:
        async with open_run("grind", settings, BlockNames()) as run:
            spoiled = evolve(workspace, harmful)
            mended = evolve(workspace, one_mended)
            held = run.planned.tasks
            stands = await weighed(run, spoiled, mended, held, gate_id="cycle-2", cycle=2)
            assert stands.tree == spoiled.tree

    await run_it()
    rows = {row.gate_id: row for row in Ledger(tmp_path).rows(GateDecisionRow, "run")}
    assert (rows["cycle-2"].rule, rows["cycle-2"].accepted) == ("higher", True)
    anchor = rows["cycle-2-anchor"]
    assert (anchor.rule, anchor.accepted, anchor.losses, anchor.ties) == (
        "no_regression",
        False,
        2,
        1,
    )
    assert len(Ledger(tmp_path).rows(Episode, "run")) == 3 * len(TASKS), (
        "the candidate's are reused"
    )
