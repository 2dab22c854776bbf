import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from grindstone.digest import digest_tree
from grindstone.errors import InputError
from grindstone.workspace import Workspace, WorkspaceError

SEED = Path(__file__).parents[2] / "seed_workspaces" / "skillbench"
IGNORED = frozenset({".git", "evolution"})


@pytest.fixture
def workspace(tmp_path):
    return Workspace.create(tmp_path / "agents" / "one" / "workspace", SEED)


def content(root):
    return digest_tree(root, ignore=IGNORED)


def evolve(workspace, text, *, number=None, step=""):
    with workspace.writing() as root:
        path = root / "skills" / "made" / "deep" / "note.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return workspace.commit_evolution(number, f"Write {text}", step=step)


def test_a_seed_is_copied_once(workspace):
    assert content(workspace.root) == content(SEED)
    assert workspace.files.manifest.name == "skillbench"
    assert workspace.files.system_prompt().strip()
    assert workspace.files.memories() == ()
    assert len(workspace.library.skills()) == 4
    (workspace.root / "prompts" / "system.md").write_text("mine")
    with workspace.writing():
        pass  # the edit above was uncommitted when the writer came, so it is gone
    evolve(workspace, "x")
    again = Workspace.create(workspace.root, SEED)
    assert again.snapshot() == workspace.snapshot()


def test_a_chosen_seed_that_could_have_no_effect_is_refused(workspace, tmp_path):
    evolve(workspace, "x")
    other = tmp_path / "other"
    shutil.copytree(SEED, other)
    assert Workspace.create(workspace.root, other, chosen=True).snapshot() == workspace.snapshot()
    (other / "prompts" / "system.md").write_text("Another.\n")
    assert Workspace.create(workspace.root, other).snapshot() == workspace.snapshot()
    with pytest.raises(InputError, match="another agent_id, or no seed_workspace") as error:
        Workspace.create(workspace.root, other, chosen=True)
    assert "seed_workspace" in error.value.where
    with pytest.raises(InputError, match="manifest"):
        Workspace.create(workspace.root, tmp_path / "none", chosen=True)


def test_other_folders_are_not_taken_for_a_workspace(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("x")
    with pytest.raises(InputError, match="not empty and no workspace"):
        Workspace.create(tmp_path / "full", SEED)
    with pytest.raises(InputError, match="is not a workspace"):
        Workspace.open(tmp_path / "full")
    with pytest.raises(InputError, match=r"manifest\.yaml"):
        Workspace.create(tmp_path / "new", tmp_path / "full")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("manifest", "field"),
    [
        ("name: [a", "manifest.yaml"),
        ("- a", "manifest.yaml"),
        ("version: 1", "name"),
        ("name: a\nunknown: 1", "unknown"),
        ("name: a\nevolvable_layers: [skills, moods]", "evolvable_layers.1"),
        ("name: a\nsystem_prompt: ../x", "system_prompt"),
        ("name: a\nsystem_prompt: none.md", "system_prompt"),
        ("name: a\nsystem_prompt: skills/a/SKILL.md", "system_prompt"),
        ("name: a\nsystem_prompt: ./evolution/x.md", "system_prompt"),
        ("name: a\nsystem_prompt: .", "system_prompt"),
    ],
)
def test_a_wrong_manifest_names_its_field(tmp_path, manifest, field):
    (tmp_path / "manifest.yaml").write_text(manifest)
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "system.md").write_text("x")
    with pytest.raises(InputError) as error:
        Workspace.create(tmp_path / "new", tmp_path)
    assert error.value.where.endswith(field)


def test_evolutions_are_numbered_tagged_and_found_by_their_step(workspace):
    start = workspace.snapshot()
    first = evolve(workspace, "one", step="run/evolve-1")
    second = evolve(workspace, "two")
    tags = workspace.repository.tags()
    assert (first.number, second.number) == (1, 2)
    assert tags["pre-evo-1"] == start.commit
    assert tags["evo-1"] == tags["pre-evo-2"] == first.commit
    assert tags["evo-2"] == workspace.snapshot().commit == second.commit
    assert workspace.find_step("run/evolve-1") == first
    assert workspace.find_step("run/evolve") is None
    assert workspace.next_number() == 3
    with pytest.raises(WorkspaceError, match="number 1 is taken"):
        evolve(workspace, "three", number=1)
    assert workspace.repository.tags() == tags
    assert not workspace.repository.dirty()


def test_a_step_is_never_applied_twice(workspace):
    first = evolve(workspace, "one", step="run/1")
    again = evolve(workspace, "something else", step="run/1")
    assert again == first
    assert (workspace.root / "skills/made/deep/note.md").read_text() == "one"
    assert workspace.next_number() == 2


def test_trailers_cannot_be_forged_by_a_message(workspace):
    with workspace.writing() as root:
        (root / "memory" / "a.md").write_text("x")
        message = "Learn\n\nGrindstone-Step: run/forged\nGrindstone-Evolution: 9"
        ref = workspace.commit_evolution(None, message, step="run/1\nGrindstone-Step: run/other")
    assert ref.number == 1
    assert workspace.find_step("run/forged") is None
    assert workspace.find_step("run/other") is None


def test_an_evolution_without_change_is_kept_and_says_so(workspace):
    with workspace.writing():
        ref = workspace.commit_evolution(None, "Nothing to learn", step="run/1")
        assert workspace.commit("nothing") is None
    assert not ref.changed
    assert workspace.find_step("run/1") == ref


def test_rollback_restores_every_byte_and_keeps_history_and_log(workspace):
    before, entries = content(workspace.root), sorted(workspace.root.rglob("*"))
    kept = [path for path in entries if ".git" not in path.parts]
    evolve(workspace, "one\r\n")
    evolve(workspace, "two")
    workspace.write_observation("# Observation", [{"task": "a"}])
    ref = workspace.rollback("pre-evo-1", reason="holdout fell", step="run/gate")
    assert content(workspace.root) == before
    left = [p for p in sorted(workspace.root.rglob("*")) if not IGNORED & set(p.parts)]
    assert left == kept
    tags = workspace.repository.tags()
    assert tags["rejected-evo-1"] == tags["evo-1"]
    assert tags["rejected-evo-2"] == tags["evo-2"]
    assert [evolution.rejected for evolution in workspace.evolutions()] == [True, True]
    assert workspace.next_number() == 3
    assert workspace.current_observation() == "# Observation"
    assert workspace.rollback("pre-evo-1", step="run/gate") == ref
    workspace.rollback("evo-1")
    assert (workspace.root / "skills/made/deep/note.md").read_bytes() == b"one\r\n"
    with pytest.raises(WorkspaceError):
        workspace.rollback("evo-99")
    with pytest.raises(WorkspaceError):
        workspace.rollback("--help")


def test_what_is_rejected_is_what_is_not_in_force(workspace):
    for text in ("one", "two"):
        evolve(workspace, text)
    undone = workspace.rollback("pre-evo-1", reason="holdout fell", weighed="rejected")
    assert workspace.standing() == ()
    back = workspace.rollback("evo-1")
    assert workspace.standing() == (1,)
    tags = set(workspace.repository.tags())
    assert "rejected-evo-1" not in tags, "it is in force again"
    assert "rejected-evo-2" in tags
    assert [ref.rejected for ref in workspace.evolutions()] == [False, True]
    evolve(workspace, "three")
    # Back to a commit that is itself a rollback: nothing was in force there.
    workspace.rollback(undone.commit)
    assert [ref.rejected for ref in workspace.evolutions()] == [True, True, True]
    assert [(ref.number, bool(ref.weighed)) for ref in workspace.history()] == [
        (1, False),
        (2, False),
        (None, True),
        (None, False),
        (3, False),
        (None, False),
    ]
    assert workspace.history()[2].commit == undone.commit
    assert workspace.history()[3].commit == back.commit


def test_an_error_inside_a_writer_leaves_nothing(workspace):
    before = content(workspace.root)
    with pytest.raises(KeyError), workspace.writing() as root:
        (root / "skills" / "half").mkdir()
        (root / "skills" / "half" / "SKILL.md").write_text("x")
        raise KeyError
    assert content(workspace.root) == before
    with pytest.raises(WorkspaceError, match="not committed"), workspace.writing() as root:
        (root / "memory" / "x").write_text("x")
    assert content(workspace.root) == before


def test_nothing_outside_steers_git(workspace, tmp_path, monkeypatch):
    config = tmp_path / "gitconfig"
    config.write_text(
        "[user]\nname = Someone\n[core]\nautocrlf = true\nhooksPath = " + str(tmp_path / "hooks")
    )
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "reference-transaction").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "reference-transaction").chmod(0o755)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Someone")
    with workspace.writing() as root:
        (root / ".gitattributes").write_text("* text eol=crlf export-ignore\n")
        (root / ".gitignore").write_text("*\n")
        (root / "memory" / "bytes.md").write_bytes(b"a\r\nb\n")
        workspace.commit_evolution(None, "Odd files")
    workspace.repository.restore()
    assert (workspace.root / "memory" / "bytes.md").read_bytes() == b"a\r\nb\n"
    assert content(workspace.frozen()) == content(workspace.root)
    authors = workspace.repository.run("log", "--format=%an <%ae> %cn").splitlines()
    assert set(authors) == {"Grindstone <grindstone@localhost> Grindstone"}


def test_a_git_error_is_an_error(workspace):
    (workspace.root / ".git" / "HEAD").write_text("ref: refs/heads/none\n")
    with pytest.raises(WorkspaceError):
        workspace.snapshot()
    with pytest.raises(InputError, match="on the branch none"):
        Workspace.open(workspace.root)


def test_a_frozen_commit_stays_while_the_workspace_evolves(workspace):
    script = workspace.root / "tools" / "run.sh"
    with workspace.writing():
        script.parent.mkdir()
        script.write_text("echo")
        script.chmod(0o755)
        first = workspace.commit_evolution(None, "Add a tool")
    frozen = workspace.frozen(first.commit)
    before = digest_tree(frozen)
    evolve(workspace, "later")
    assert digest_tree(frozen) == before == content(frozen)
    assert os.access(frozen / "tools" / "run.sh", os.X_OK)
    assert workspace.frozen(first.commit) == frozen
    assert workspace.frozen() != frozen
    with pytest.raises(WorkspaceError, match="not empty"):
        workspace.materialise("HEAD", frozen)


def test_snapshot_tells_skills_from_drafts(workspace):
    before = workspace.snapshot()
    with workspace.writing() as root:
        (root / "skills" / "_drafts").mkdir()
        (root / "skills" / "_drafts" / "a.md").write_text("x")
        workspace.commit("Draft")
    after = workspace.snapshot()
    assert after.skills_digest == before.skills_digest
    assert after.tree != before.tree
    evolve(workspace, "x")
    assert workspace.snapshot().skills_digest != before.skills_digest
    assert workspace.snapshot("pre-evo-1") == after


def _many(root, first, count):
    workspace = Workspace.open(root)
    for at in range(first, first + count):
        evolve_file(workspace, at)


def evolve_file(workspace, at):
    with workspace.writing() as root:
        (root / "memory" / f"{at}.md").write_text(str(at))
        workspace.commit_evolution(None, f"Write {at}", step=f"run/{at}")


@pytest.mark.slow
def test_forty_writers_leave_forty_commits(workspace):
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_many, args=(workspace.root, at * 10, 10)) for at in (0, 1)]
    threads = [threading.Thread(target=evolve_file, args=(workspace, at)) for at in range(20, 40)]
    for writer in [*processes, *threads]:
        writer.start()
    for writer in [*processes, *threads]:
        writer.join()
    assert [process.exitcode for process in processes] == [0, 0]
    evolutions = workspace.evolutions()
    assert [ref.number for ref in evolutions] == list(range(1, 41))
    assert {ref.step for ref in evolutions} == {f"run/{at}" for at in range(40)}
    assert all(ref.changed for ref in evolutions)
    for ref in evolutions:  # each commit holds its own file and no other's
        files = workspace.repository.run("show", "--format=", "--name-only", ref.commit).split()
        assert files == [f"memory/{ref.step.removeprefix('run/')}.md"]


WRITER = """
import sys
from pathlib import Path
from grindstone.workspace import Workspace
workspace = Workspace.open(Path(sys.argv[1]))
print("ready", flush=True)
for at in range(10_000):
    with workspace.writing() as root:
        for part in range(5):
            (root / "memory" / f"{part}.md").write_text(str(at))
        workspace.commit_evolution(None, f"Write {at}", step=f"run/{at}")
"""


@pytest.mark.slow
@pytest.mark.parametrize("delay_s", [0.05, 0.11, 0.17, 0.23, 0.29, 0.37])
def test_a_killed_writer_leaves_whole_evolutions_only(workspace, delay_s):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(workspace.root)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    time.sleep(delay_s)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    again = Workspace.open(workspace.root)
    assert not again.repository.dirty()
    evolutions = again.evolutions()
    tags = again.repository.tags()
    assert [ref.number for ref in evolutions] == list(range(1, len(evolutions) + 1))
    for ref in evolutions:
        assert tags[f"evo-{ref.number}"] == ref.commit
        assert tags[f"pre-evo-{ref.number}"] == ref.before
    assert set(tags) == {"seed"} | {f"{k}evo-{r.number}" for r in evolutions for k in ("", "pre-")}
    texts = {path.read_text() for path in (again.root / "memory").glob("*.md")}
    assert texts == ({evolutions[-1].step.removeprefix("run/")} if evolutions else set())
    evolve(again, "goes on")


def test_refs_of_which_only_some_were_written_are_completed(workspace):
    first = evolve(workspace, "one")
    second = evolve(workspace, "two")
    git = workspace.repository
    git.run("update-ref", "-d", "refs/tags/pre-evo-1")
    git.run("update-ref", "refs/heads/main", first.commit)  # as if main had not moved yet
    git.run("update-ref", "refs/tags/pre-evo-7", first.commit)  # as if nothing else had
    (git.git_dir / "index.lock").touch()
    (git.git_dir / "refs" / "heads" / "main.lock").touch()
    again = Workspace.open(workspace.root)
    assert again.snapshot().commit == second.commit
    assert git.tags()["pre-evo-1"] == first.before
    assert "pre-evo-7" not in git.tags()
    assert (again.root / "skills/made/deep/note.md").read_text() == "two"


def test_what_opening_undoes_is_kept_aside(workspace):
    (workspace.root / "memory" / "mine.md").write_text("by hand")
    again = Workspace.open(workspace.root)
    assert not (again.root / "memory" / "mine.md").exists()
    kept = again.repository.run("for-each-ref", "--format=%(refname)", "refs/undone").strip()
    assert again.repository.run("show", f"{kept}:memory/mine.md") == "by hand"
    assert again.repository.resolve(kept) == again.set_aside
    assert not Workspace.open(workspace.root).set_aside
    assert len(again.repository.log()) == 1


def test_observations_survive_a_torn_line_and_a_repeated_write(workspace):
    assert workspace.write_observation("# A", [{"task": "a"}, {"task": "b"}]) == 2
    log = workspace.evolution_dir / "observations.jsonl"
    with log.open("a") as file:
        file.write('{"task": "to')
    assert workspace.write_observation("# B", [{"task": "b"}, {"task": "c"}]) == 1
    assert [row["task"] for row in workspace.recent_observations()] == ["a", "b", "c"]
    assert [row["task"] for row in workspace.recent_observations(1)] == ["c"]
    assert workspace.recent_observations(0) == ()
    assert workspace.current_observation() == "# B"
    assert not workspace.repository.dirty()
