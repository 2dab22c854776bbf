"""A workspace that a person worked on with git: it goes on, or says what to mend."""

import os
import subprocess
from pathlib import Path

import pytest

from grindstone.errors import InputError
from grindstone.workspace import Snapshot, Workspace

SKILL = "---\nname: {0}\ndescription: When a.\n---\n\nx\n"
SEED = Path(__file__).parents[2] / "seed_workspaces" / "skillbench"


def evolve(workspace: Workspace, name: str) -> Snapshot:
    with workspace.writing() as root:
        (root / "skills" / name).mkdir()
        (root / "skills" / name / "SKILL.md").write_text(SKILL.format(name))
        workspace.commit_evolution(None, f"add {name}")
    return workspace.snapshot()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace.create(tmp_path / "workspace", SEED)
    evolve(made, "first")
    return made


def by_hand(workspace: Workspace, commands: str) -> None:
    names = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
    environment = {**os.environ, **dict.fromkeys(names, "ada")}
    shell = ["bash", "-euc", commands]
    subprocess.run(shell, cwd=workspace.root, env=environment, check=True, capture_output=True)


def went_on(workspace: Workspace) -> Snapshot:
    """Evolve and go back, as the next run would; return what the run began with."""
    opened = Workspace.open(workspace.root)
    began = opened.snapshot()
    opened.frozen(began.commit)
    after = evolve(opened, "second")
    assert Workspace.open(workspace.root).snapshot() == after
    opened.rollback(began.commit, reason="no better")
    assert opened.snapshot().tree == began.tree
    assert opened.history()
    return began


@pytest.mark.parametrize(
    "commands",
    [
        pytest.param("git checkout -q --detach HEAD", id="detached where it was"),
        pytest.param("git commit -q --allow-empty -m $'odd\\x1e subject\\x1f here'", id="marks"),
        pytest.param("git tag 'evo-²'; git tag pre-evo-99999999999999999999", id="odd tags"),
        pytest.param("git tag evo-8 $(git hash-object -w prompts/system.md)", id="tag on a file"),
        pytest.param("git config core.sparseCheckout true", id="sparse"),
        pytest.param("head -c 20 .git/index > i; mv i .git/index", id="torn index"),
    ],
)
def test_it_goes_on(workspace: Workspace, commands: str):
    before = workspace.snapshot()
    by_hand(workspace, commands)
    assert went_on(workspace).tree == before.tree
    assert workspace.evolutions()[-1].number in (2, 9)


@pytest.mark.parametrize(
    ("commands", "told"),
    [
        ("git checkout -q --detach HEAD; git commit -q --allow-empty -m x", "no branch"),
        ("git checkout -q -b work; echo more >> prompts/system.md", "on the branch work"),
        ("git checkout -q --orphan fresh", "on the branch fresh"),
        ("git branch -m main trunk", "on the branch trunk"),
    ],
)
def test_another_branch_is_named_before_anything_is_paid(
    workspace: Workspace, commands: str, told: str
):
    by_hand(workspace, commands)
    prompt = (workspace.root / "prompts/system.md").read_text()
    with pytest.raises(InputError, match=f"{told}.*expected.*main") as caught:
        Workspace.open(workspace.root)
    assert str(workspace.root) in str(caught.value)
    assert (workspace.root / "prompts/system.md").read_text() == prompt, "nothing is lost"


COMMIT = "git add -A; git commit -qm x"


@pytest.mark.parametrize(
    ("commands", "told"),
    [
        (f"ln -s /etc/hostname skills/first/a.md; {COMMIT}", "skills/first/a.md: is a link that"),
        (f"ln -s ../../../a skills/first/a.md; {COMMIT}", "skills/first/a.md: is a link that"),
        (f"touch skills/first/$'\\xff.md'; {COMMIT}", r"skills/first/\\udcff.md: has a name that"),
        (
            f"git init -q s; git -C s commit -q --allow-empty -m x; mv s skills; {COMMIT}",
            "skills/s: is a repository of its own",
        ),
        (f"printf '\\xe9' >> prompts/system.md; {COMMIT}", "system.md cannot be read as text"),
        ("git init -q s; touch s/mine", "/s: is a repository of its own"),
        (
            "git init -q s; cd s; touch mine; git add mine; git commit -qm x",
            "/s: is a repository of its own",
        ),
    ],
)
def test_what_no_run_could_carry_is_named_and_stays(workspace: Workspace, commands: str, told: str):
    by_hand(workspace, commands)
    mine = sorted(workspace.root.rglob("mine"))
    with pytest.raises(InputError, match=told):
        Workspace.open(workspace.root)
    assert sorted(workspace.root.rglob("mine")) == mine, "a person's work is not lost"


def test_a_link_that_stays_within_is_no_fault(workspace: Workspace):
    by_hand(workspace, f"ln -s ../first/SKILL.md skills/first/a.md; {COMMIT}")
    assert went_on(workspace).tree != workspace.snapshot("evo-1").tree
