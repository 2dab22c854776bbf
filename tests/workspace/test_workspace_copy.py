import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grindstone.digest import digest_tree
from grindstone.workspace import Workspace, WorkspaceError, WorkspaceFiles
from grindstone.workspace.changes import Change, FileEntry, compare, read_folder

SEED = Path(__file__).parents[2] / "seed_workspaces" / "skillbench"


@pytest.fixture
def workspace(tmp_path):
    return Workspace.create(tmp_path / "workspace", SEED)


@pytest.fixture
def copy(workspace, tmp_path):
    target = tmp_path / "copy"
    workspace.materialise("HEAD", target)
    return target


def differences(workspace: Workspace, copy: Path) -> tuple[Change, ...]:
    return compare(workspace.files.entries(), read_folder(copy))


def test_an_untouched_copy_has_no_changes(workspace, copy):
    assert differences(workspace, copy) == ()


def test_each_kind_of_change_is_told(workspace, copy):
    (copy / "skills" / "new" / "scripts").mkdir(parents=True)
    (copy / "skills" / "new" / "scripts" / "run.sh").write_text("x")
    (copy / "skills" / "data-formats" / "SKILL.md").write_text("x")
    shutil.rmtree(copy / "skills" / "skill-usage")
    (copy / "prompts" / "system.md").chmod(0o755)
    (copy / "manifest.yaml").unlink()
    assert [(change.path, change.kind) for change in differences(workspace, copy)] == [
        ("manifest.yaml", "deleted"),
        ("prompts/system.md", "changed"),
        ("skills/data-formats/SKILL.md", "changed"),
        ("skills/new/scripts/run.sh", "added"),
        ("skills/skill-usage/SKILL.md", "deleted"),
    ]


def test_links_special_files_and_histories_are_not_read(copy):
    (copy / "memory" / "link").symlink_to("/etc/passwd")
    (copy / "linked").symlink_to("/etc")
    os.mkfifo(copy / "tools_fifo")
    (copy / "tools" / ".git").mkdir(parents=True)
    (copy / "tools" / ".git" / "config").write_text("x")
    assert read_folder(copy) == read_folder(SEED)


def test_only_the_accepted_changes_are_applied(workspace, copy):
    (copy / "skills" / "new").mkdir()
    (copy / "skills" / "new" / "SKILL.md").write_text("x")
    (copy / "prompts" / "system.md").write_text("x")
    shutil.rmtree(copy / "skills" / "skill-usage")
    prompt = workspace.files.system_prompt()
    changes = differences(workspace, copy)
    with pytest.raises(WorkspaceError, match="outside of writing"):
        workspace.apply(changes)
    with workspace.writing() as root:
        workspace.apply(change for change in changes if change.path.startswith("skills/"))
        workspace.commit_evolution(None, "Skills only")
        assert not (root / "skills" / "skill-usage").exists()
    assert workspace.files.system_prompt() == prompt
    assert [change.path for change in differences(workspace, copy)] == ["prompts/system.md"]


def test_a_change_whose_place_is_taken_undoes_all(workspace):
    changes = (
        Change("memory/a.md", "added", FileEntry(b"x")),
        Change("skills/data-formats", "added", FileEntry(b"x")),
    )
    before = digest_tree(workspace.root, ignore=frozenset({".git"}))
    with pytest.raises(WorkspaceError, match="cannot be applied"), workspace.writing():
        workspace.apply(changes)
    assert digest_tree(workspace.root, ignore=frozenset({".git"})) == before


def test_a_frozen_copy_is_read_as_the_workspace_is(tmp_path):
    seed = tmp_path / "seed"
    shutil.copytree(SEED, seed)
    (seed / "manifest.yaml").write_text("name: own\nsystem_prompt: AGENT.md\n")
    (seed / "AGENT.md").write_text("I am another prompt.\n")
    (seed / "memory" / "memories.jsonl").write_text('{"content": "Look first."}\n')
    workspace = Workspace.create(tmp_path / "workspace", seed)
    for files in (workspace.files, WorkspaceFiles(workspace.frozen())):
        assert files.manifest.name == "own"
        assert files.system_prompt() == "I am another prompt.\n"
        assert files.memories() == ("Look first.",)


NAMES = st.sampled_from(["a", "b", "a/b", "a/c", "b/a/c", "skills/x/SKILL.md", "memory/é ü.md"])
TREES = st.dictionaries(NAMES, st.tuples(st.binary(max_size=8), st.booleans()), max_size=5).filter(
    lambda tree: not any(f"{one}/" == other[: len(one) + 1] for one in tree for other in tree)
)


@pytest.mark.slow
@settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
@given(trees=st.lists(TREES, min_size=1, max_size=3))
def test_applying_all_changes_makes_the_copy(tmp_path_factory, trees):
    place = tmp_path_factory.mktemp("any")
    workspace = Workspace.create(place / "workspace", SEED)
    for at, tree in enumerate(trees):
        copy = place / f"copy-{at}"
        shutil.copytree(SEED, copy)
        for name, (data, executable) in tree.items():
            path = copy / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            path.chmod(0o755 if executable else 0o644)
        changes = differences(workspace, copy)
        with workspace.writing():
            workspace.apply(changes)
            workspace.commit_evolution(None, f"Copy {at}")
        ignore = frozenset({".git"})
        assert digest_tree(workspace.root, ignore=ignore) == digest_tree(copy)
        assert digest_tree(workspace.frozen()) == digest_tree(copy)
