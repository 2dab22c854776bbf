"""The gate as a flow: real sandboxes, real git, real parquet, a real server."""

import filecmp
import shutil
from pathlib import Path

import pytest
from starlette.responses import JSONResponse
from support.breaking import PROGRAM
from support.fleet import write_task
from support.teaching import evolve, harmful, said_again, taught
from support.wiretap import Wiretap

from grindstone.errors import InputError
from grindstone.flows.gate import GateFinished, gate
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import EvolutionRow, GateDecisionRow, GatePairRow
from grindstone.records import Episode
from grindstone.report.gate_page import gate_markdown
from grindstone.resources import bundled
from grindstone.settings import GateSettings
from grindstone.workspace import Workspace

pytestmark = [pytest.mark.server, pytest.mark.slow, pytest.mark.timeout(300)]

TASKS = ["branch-sales", "crlf-kit", "deleted-branch", "dropped-stash", "errors-by-hour"]


def settings(home: Path, **more: object) -> GateSettings:
    given = {"task_ids": TASKS, "model_id": "rehearsal", "native_profile": "strands"}
    return GateSettings.model_validate({"work_dir": home, "max_workers": 4, **given, **more})


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(
        tmp_path / "agents" / "skillbench" / "workspace", bundled("seed_workspaces/terminal")
    )


def files_of(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".git" not in path.parts
    }


async def test_a_harmful_skill_is_rejected_and_the_workspace_restored_byte_for_byte(
    tmp_path: Path, workspace: Workspace, prefect_server: str
):
    evolve(workspace, taught)
    before = files_of(workspace.root)
    copied = tmp_path / "copy"
    shutil.copytree(workspace.root, copied, ignore=shutil.ignore_patterns(".git"))
    good = workspace.snapshot()
    evolve(workspace, harmful)
    bad = workspace.snapshot()
    assert files_of(workspace.root) != before

    done = await gate(settings(tmp_path, run_key="harm"))
    assert done.gated is not None
    assert done.restored
    assert (done.gated.row.verdict, done.gated.accepted) == ("reject", False), done.gated.row
    assert done.gated.row.p_value <= 0.05
    assert done.gated.row.losses >= 5

    assert files_of(workspace.root) == before
    assert not filecmp.dircmp(copied, workspace.root, ignore=[".git"]).diff_files
    now = workspace.snapshot()
    assert now.tree == good.tree
    tags = workspace.repository.tags()
    assert {"evo-1", "evo-2", "rejected-evo-2"} <= set(tags)
    history = [commit.commit for commit in workspace.repository.log()]
    assert {good.commit, bad.commit} <= set(history), "history is kept"

    ledger = Ledger(tmp_path)
    [row] = ledger.rows(GateDecisionRow, "harm")
    assert row == done.gated.row
    [undone] = ledger.rows(EvolutionRow, "harm")
    assert (undone.accepted, undone.evo_number, undone.tree_after) == (False, 2, good.tree)
    episodes = {each.episode_id: each for each in ledger.rows(Episode, "harm")}
    for pair in ledger.rows(GatePairRow, "harm"):
        one, other = episodes[pair.baseline_episode_id], episodes[pair.candidate_episode_id]
        assert one.task_id == other.task_id == pair.task_id
        assert (one.arm, one.workspace_tree) == ("baseline", good.tree)
        assert (other.arm, other.workspace_tree) == ("candidate", bad.tree)
        assert (one.score, other.score) == (pair.baseline_score, pair.candidate_score)
    said = (done.folder / "gate-gate.md").read_text()
    assert "✗ rejected" in said
    assert "With 5 tasks" in said
    assert "This was a rehearsal" in said

    again = await gate(settings(tmp_path, run_key="harm"))
    assert again.gated is not None
    assert again.gated.row == done.gated.row
    assert workspace.snapshot() == now, "resuming rolls nothing back twice"


async def test_where_no_attempt_has_a_score_the_workspace_stays_and_the_same_key_weighs_again(
    tmp_path: Path, workspace: Workspace, tap: Wiretap, prefect_server: str
):
    """A key that is wrong is no reason to take back what an agent has learned."""
    evolve(workspace, taught)
    now = workspace.snapshot()
    given = settings(tmp_path, run_key="key", task_ids=["errors-by-hour"])
    wrong = {"type": "error", "error": {"type": "authentication_error", "message": "invalid key"}}
    tap.instead = lambda _: JSONResponse(wrong, 401)
    done = await gate(given)
    assert done.gated is not None
    assert not done.gated.accepted
    assert len(done.report.errors) == done.report.n_attempts == 2
    assert not done.restored
    assert workspace.snapshot() == now
    ledger = Ledger(tmp_path)
    assert not ledger.rows(GateDecisionRow, "key"), "nothing was found out"

    tap.instead = lambda _: None
    again = await gate(given)
    assert again.gated is not None
    assert again.gated.row.n_pairs == 1
    assert not again.report.errors
    assert ledger.rows(GateDecisionRow, "key") == [again.gated.row]
    assert ledger.rows(GatePairRow, "key") == list(again.gated.pairs)


async def test_a_state_is_not_weighed_against_itself(
    tmp_path: Path, workspace: Workspace, prefect_server: str
):
    evolve(workspace, taught)
    same = {"baseline": "evo-1", "candidate": "HEAD"}
    with pytest.raises(InputError, match="baseline: evo-1 and the candidate HEAD are the same"):
        await gate(settings(tmp_path, run_key="one", **same))
    assert not Ledger(tmp_path).rows(Episode)


@pytest.mark.catalogue(of="gates")
async def test_five_copies_of_a_task_are_one_piece_of_evidence(
    tmp_path: Path, workspace: Workspace, prefect_server: str
):
    for number in range(5):
        copy = tmp_path / "tasks" / f"hours-{number}"
        shutil.copytree(bundled("examples/tasks/errors-by-hour"), copy)
    evolve(workspace, taught)
    evolve(workspace, harmful)
    copies = {"tasks_dir": tmp_path / "tasks", "task_ids": []}
    done = await gate(settings(tmp_path, run_key="copies", roll_back=False, **copies))
    assert done.gated is not None
    row = done.gated.row
    assert (row.n_pairs, row.losses, row.baseline_mean, row.candidate_mean) == (5, 1, 1.0, 0.0)
    assert row.verdict == "cannot_tell", "five of five would be evidence at 5%"
    assert "1 cluster" in done.gated.sentence


@pytest.mark.catalogue(of="gates")
async def test_after_a_rollback_and_back_the_gate_finds_its_baseline(
    tmp_path: Path, workspace: Workspace, prefect_server: str
):
    evolve(workspace, taught)
    evolve(workspace, harmful)
    workspace.rollback("pre-evo-2")
    workspace.rollback("evo-2")
    bad = workspace.snapshot()
    done = await gate(settings(tmp_path, run_key="again"))
    assert done.restored
    [undone] = Ledger(tmp_path).rows(EvolutionRow, "again")
    assert (undone.evo_number, undone.commit_before) == (2, bad.commit)
    assert workspace.snapshot().tree == workspace.snapshot("evo-1").tree
    assert [ref.rejected for ref in workspace.evolutions()] == [False, True]
    assert workspace.history()[-1].weighed


@pytest.mark.catalogue(of="gates")
async def test_a_candidate_that_does_the_same_is_not_called_better_and_the_baseline_is_reused(
    tmp_path: Path, workspace: Workspace, prefect_server: str
):
    evolve(workspace, taught)
    evolve(workspace, said_again)
    same = {"baseline": "evo-1", "candidate": "evo-2", "gate_early_stop": False}
    same |= {"roll_back": False}
    first = await gate(settings(tmp_path, gate_rule="improvement", run_key="one", **same))
    assert first.gated is not None
    assert (first.gated.row.verdict, first.gated.accepted) == ("reject", False)
    assert "not shown to be better" in first.gated.row.reason
    assert first.gated.row.ties == len(TASKS)
    assert not first.restored
    ledger = Ledger(tmp_path)
    assert len(ledger.rows(Episode, "one")) == 2 * len(TASKS), "both arms were really attempted"

    second = await gate(settings(tmp_path, gate_rule="no_regression", run_key="two", **same))
    assert second.gated is not None
    assert second.gated.accepted
    assert not ledger.rows(Episode, "two"), "attempts of equal content are reused"
    old = {row.episode_id for row in ledger.rows(Episode, "one")}
    assert {row.baseline_episode_id for row in second.gated.pairs} <= old

    other = await gate(
        settings(tmp_path, run_key="three", max_steps=7, task_ids=["errors-by-hour"], **same)
    )
    assert other.gated is not None
    assert len(ledger.rows(Episode, "three")) == 2, "other settings are other content"
    assert other.gated.row.verdict == "cannot_tell"


async def test_infrastructure_errors_are_missing_pairs_and_early_stopping_leaves_pairs_out(
    tmp_path: Path, workspace: Workspace, prefect_server: str
):
    tasks = tmp_path / "tasks"
    for task_id in TASKS:
        shutil.copytree(bundled("examples/tasks") / task_id, tasks / task_id)
    (tasks / "crlf-kit" / "tests" / "test.sh").write_text("#!/bin/sh\nexit 0\n")
    evolve(workspace, taught)
    done: GateFinished = await gate(
        settings(tmp_path, tasks_dir=tasks, baseline="seed", gate_alpha=0.2, max_workers=1)
    )
    assert done.gated is not None
    row = done.gated.row
    assert (row.verdict, row.accepted, row.losses) == ("accept", True, 0), row
    assert (row.n_pairs, row.n_missing) == (3, 1), "the fifth task could change nothing any more"
    assert row.n_left_out == 1
    told = "ended early, 1 of 5 pairs left out: the figures lean to the verdict"
    assert f"\n- {told}\n" in gate_markdown(done.gated)
    report = (tmp_path / "runs" / row.run_key / "report.md").read_text()
    assert told in report
    [spoiled] = [pair for pair in done.gated.pairs if pair.task_id == "crlf-kit"]
    assert spoiled.baseline_score is spoiled.candidate_score is None
    assert spoiled.baseline_episode_id
    assert "errors-by-hour" not in {pair.task_id for pair in done.gated.pairs}


@pytest.mark.parametrize(
    "agent",
    [
        {"native_profile": "command", "agent": "agent.yaml"},
        {"native_profile": "code", "solver": "support.breaking:Reader"},
    ],
    ids=["a program", "code"],
)
async def test_a_change_that_breaks_the_agent_is_not_judged_by_what_survived_it(
    tmp_path: Path, workspace: Workspace, prefect_server: str, agent: dict[str, str]
):
    """Attempts without a score are no missing pairs where only the change has them."""
    for number in range(6):
        write_task(tmp_path / "tasks" / f"task-{number}", number)
    (tmp_path / "agent.yaml").write_text(PROGRAM)
    with workspace.writing() as root:
        (root / "skills" / "broken").mkdir(parents=True)
        words = "---\nname: broken\ndescription: When a file must be made.\n---\nLook first.\n"
        (root / "skills" / "broken" / "SKILL.md").write_text(words)
        workspace.commit_evolution(None, "A skill that breaks its reader")
    own = {"tasks_dir": tmp_path / "tasks", "task_ids": [], "gate_rule": "higher"}
    if "agent" in agent:
        agent = agent | {"agent": str(tmp_path / agent["agent"])}
    done = await gate(settings(tmp_path, run_key="broken", gate_early_stop=False, **own | agent))
    assert done.gated is not None
    row = done.gated.row
    assert not row.accepted, row
    assert (row.n_pairs, row.n_missing, row.n_broke_before, row.n_broke_after) == (6, 0, 0, 3)
    assert (row.baseline_mean, row.candidate_mean, row.losses) == (1.0, 0.5, 3)
    told = "attempts that broke, where the other side has a score, count as 0: 0 before, 3 after"
    assert f"\n- {told}\n" in gate_markdown(done.gated)
    ledger = Ledger(tmp_path)
    causes = [e.error_cause for e in ledger.rows(Episode, "broken") if e.score is None]
    assert causes == ["agent_broken"] * 3, "the attempts themselves have no score"
    assert all(
        "cannot parse SKILL.md" in e.error_detail
        for e in ledger.rows(Episode, "broken")
        if e.error_cause
    )


async def test_a_slow_attempt_holds_up_no_other_pair(
    tmp_path: Path, workspace: Workspace, prefect_server: str
):
    evolve(workspace, taught)
    tasks = tmp_path / "tasks"
    for number in range(3):
        task = tasks / f"task-{number}"
        shutil.copytree(bundled("examples/tasks") / "crlf-kit", task)
        text = (task / "instruction.md").read_text()
        (task / "instruction.md").write_text(f"{text}\nNo. {number}\n")
    slow = tasks / "task-0" / "solution" / "solve.sh"
    slow.write_text(f"{slow.read_text()}\nsleep 8\n")
    every = {"tasks_dir": tasks, "task_ids": [], "native_profile": "oracle", "baseline": "seed"}
    done = await gate(settings(tmp_path, run_key="slow", gate_early_stop=False, **every))
    assert done.gated is not None
    assert len(done.gated.pairs) == 3
    made = Ledger(tmp_path).rows(Episode, "slow")
    late = min(item.ended_at for item in made if item.task_id == "task-0")
    assert min(item.started_at for item in made if item.task_id == "task-2") < late


async def test_an_unknown_state_is_bad_input(
    tmp_path: Path, workspace: Workspace, prefect_server: str
):
    with pytest.raises(InputError, match=r"baseline: is not given, and nothing has evolved"):
        await gate(settings(tmp_path))
    with pytest.raises(InputError, match=r"candidate: 'evo-7' is no state"):
        await gate(settings(tmp_path, baseline="seed", candidate="evo-7"))
