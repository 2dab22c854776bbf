import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grindstone.digest import digest_tree
from grindstone.workspace import Workspace, WorkspaceError
from grindstone.workspace.changes import MAX_FILE_BYTES, area_of

SEED = Path(__file__).parents[2] / "seed_workspaces" / "skillbench"


@pytest.fixture
def workspace(tmp_path):
    return Workspace.create(tmp_path / "workspace", SEED)


@pytest.fixture
def copy(workspace, tmp_path):
    target = tmp_path / "copy"
    workspace.materialise("HEAD", target)
    return target


def test_an_untouched_copy_has_no_changes(workspace, copy):
    (copy / "evolution").mkdir()
    (copy / "evolution" / "current_observation.md").write_text("x")
    changes = workspace.compare_copy(copy)
    assert not changes
    assert changes.refused == ()


def test_each_kind_of_change_is_told_with_its_area(workspace, copy):
    (copy / "skills" / "new" / "scripts").mkdir(parents=True)
    (copy / "skills" / "new" / "SKILL.md").write_text("x")
    (copy / "skills" / "new" / "scripts" / "run.sh").write_text("x")
    (copy / "skills" / "data-formats" / "SKILL.md").write_text("x")
    shutil.rmtree(copy / "skills" / "skill-usage")
    (copy / "prompts" / "system.md").chmod(0o755)
    (copy / "manifest.yaml").unlink()
    changes = workspace.compare_copy(copy)
    assert [(c.path, c.kind, c.area, c.unit) for c in changes.items] == [
        ("manifest.yaml", "deleted", "other", ""),
        ("prompts/system.md", "changed", "prompts", ""),
        ("skills/data-formats/SKILL.md", "changed", "skills", "data-formats"),
        ("skills/new/SKILL.md", "added", "skills", "new"),
        ("skills/new/scripts/run.sh", "added", "skills", "new"),
        ("skills/skill-usage/SKILL.md", "deleted", "skills", "skill-usage"),
    ]
    assert changes.units("skills") == ("data-formats", "new", "skill-usage")


@pytest.mark.parametrize(
    ("path", "area"),
    [
        ("skills/_drafts/a-b.md", ("drafts", "a-b")),
        ("skills/_drafts/a-b.json", ("drafts", "a-b")),
        ("skills/README.md", ("other", "")),
        ("task_skills/t/SKILL.md", ("task_skills", "t")),
        ("memory/memories.jsonl", ("memory", "")),
        ("tools", ("other", "")),
        ("tools/a/b.py", ("tools", "")),
    ],
)
def test_areas(path, area):
    assert area_of(path) == area


def test_links_special_files_and_histories_are_refused(workspace, copy):
    (copy / "memory" / "link").symlink_to("/etc/passwd")
    shutil.rmtree(copy / "skills" / "data-formats")
    (copy / "skills" / "data-formats").symlink_to("/etc")
    os.link(copy / "prompts" / "system.md", copy / "prompts" / "hard.md")
    os.mkfifo(copy / "tools_fifo")
    (copy / "tools" / ".git").mkdir(parents=True)
    (copy / "memory" / "new\nline").write_text("x")
    (copy / "memory" / "big").write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    (Path(os.fsdecode(os.fsencode(copy) + b"/memory/\xff"))).write_text("x")
    changes = workspace.compare_copy(copy)
    assert changes.items == ()  # what became a link does not count as deleted
    assert {(r.path, r.reason) for r in changes.refused} == {
        ("memory/big", f"more than {MAX_FILE_BYTES} bytes"),
        ("memory/link", "a link"),
        ("memory/new\nline", "its name has characters that are not allowed"),
        ("memory/\\udcff", "its name has characters that are not allowed"),
        ("prompts/hard.md", "a hard link"),
        ("prompts/system.md", "a hard link"),
        ("skills/data-formats", "a link"),
        ("tools/.git", "a git folder of its own"),
        ("tools_fifo", "not a regular file"),
    }


def test_only_the_accepted_changes_are_applied(workspace, copy):
    (copy / "skills" / "new").mkdir()
    (copy / "skills" / "new" / "SKILL.md").write_text("x")
    (copy / "prompts" / "system.md").write_text("x")
    shutil.rmtree(copy / "skills" / "skill-usage")
    prompt = workspace.system_prompt()
    changes = workspace.compare_copy(copy)
    with pytest.raises(WorkspaceError, match="outside of writing"):
        workspace.apply_copy(copy, changes.items)
    with workspace.writing() as root:
        workspace.apply_copy(copy, changes.within("skills"))
        workspace.commit_evolution(None, "Skills only")
        assert not (root / "skills" / "skill-usage").exists()
    assert workspace.system_prompt() == prompt
    assert [c.path for c in workspace.compare_copy(copy).items] == ["prompts/system.md"]


def test_a_file_turned_link_between_comparing_and_applying_is_refused(workspace, copy):
    (copy / "memory" / "a.md").write_text("x")
    changes = workspace.compare_copy(copy)
    (copy / "memory" / "a.md").unlink()
    (copy / "memory" / "a.md").symlink_to("/etc/passwd")
    with pytest.raises(WorkspaceError), workspace.writing():
        workspace.apply_copy(copy, changes.items)
    assert not (workspace.root / "memory" / "a.md").exists()


NAMES = st.sampled_from(["a", "b", "a/b", "a/c", "b/a/c", "skills/x/SKILL.md", "memory/é ü.md"])
TREES = st.dictionaries(NAMES, st.tuples(st.binary(max_size=8), st.booleans()), max_size=5).filter(
    lambda tree: not any(f"{one}/" == other[: len(one) + 1] for one in tree for other in tree)
)


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
        changes = workspace.compare_copy(copy)
        with workspace.writing():
            workspace.apply_copy(copy, changes.items)
            workspace.commit_evolution(None, f"Copy {at}")
        ignore = frozenset({".git"})
        assert digest_tree(workspace.root, ignore=ignore) == digest_tree(copy)
        assert digest_tree(workspace.frozen()) == digest_tree(copy)
