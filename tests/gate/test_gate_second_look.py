"""A search looks twice at a candidate near the edge, as often as its budget allows."""

from pathlib import Path

import pytest
from prefect import flow
from support.teaching import evolve, harmful, said_again, taught

from grindstone.blocks import BlockNames
from grindstone.flows.run import open_run
from grindstone.flows.weighing import weighed
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import GateDecisionRow, GatePairRow
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

BUILD, *GIT = TASKS = ["crlf-kit", "deleted-branch", "dropped-stash"]


def knows_builds(entry: knowledge.FieldKnowledge) -> str:
    return taught(entry) if entry.skill == "python2-era-builds" else harmful(entry)


def knows_git(entry: knowledge.FieldKnowledge) -> str:
    return taught(entry) if entry.skill == "git-lost-work" else harmful(entry)


def knows_git_again(entry: knowledge.FieldKnowledge) -> str:
    return said_again(entry) if entry.skill == "git-lost-work" else harmful(entry)


async def test_a_candidate_near_the_edge_is_tried_again_within_the_budget(
    tmp_path: Path, prefect_server: str
):
    workspace = Workspace.create(
        tmp_path / "agents" / "skillbench" / "workspace", bundled("seed_workspaces/terminal")
    )
    given = {"work_dir": tmp_path, "task_ids": TASKS, "model_id": "rehearsal", "run_key": "run"}
    few = {"native_profile": "strands", "max_workers": 4, "gate_second_looks": 1}
    settings = GrindSettings.model_validate(given | few | {"gate_anchor": False})

    @flow(name="looking", persist_result=False)
    async def run_it() -> None:
        async with open_run("grind", settings, BlockNames()) as run:
            held, before = run.planned.tasks, evolve(workspace, knows_builds)
            for number, text in enumerate((knows_git, knows_git_again), start=1):
                after, gate_id = evolve(workspace, text), f"cycle-{number}"
                await weighed(run, before, after, held, gate_id=gate_id, cycle=number)

    await run_it()
    ledger = Ledger(tmp_path)
    looked: dict[str, set[int]] = {}
    for row in ledger.rows(GatePairRow, "run"):
        looked.setdefault(row.gate_id, set()).add(row.trial)
    # Two tasks better and one worse: either might be luck. The second time nothing is left.
    assert looked == {"cycle-1": {0, 1}, "cycle-2": {0}}
    decided = {row.gate_id: row for row in ledger.rows(GateDecisionRow, "run")}
    assert [(row.wins, row.losses, row.n_pairs) for _, row in sorted(decided.items())] == [
        (2, 1, 6),
        (2, 1, 3),
    ]
    # Both states twice, then the second candidate once: the baseline's attempts are reused.
    assert len(ledger.rows(Episode, "run")) == 2 * 2 * len(TASKS) + len(TASKS)
