"""A workspace of strangers, its history with it: what their git would do is not done."""

import contextlib
import os
import subprocess
from pathlib import Path

import pytest

from grindstone.errors import GrindstoneError, InputError
from grindstone.workspace import Workspace

SEED = Path(__file__).parents[2] / "seed_workspaces" / "skillbench"

SIGNED = """\
git cat-file commit HEAD > commit
{ sed '/^$/,$d' commit; printf 'gpgsig -----BEGIN PGP SIGNATURE-----\\n \\n iQ\\n'
  printf ' -----END PGP SIGNATURE-----\\n'; sed -n '/^$/,$p' commit; } > signed
git update-ref refs/heads/main "$(git hash-object -t commit -w signed)"
rm commit signed
git config log.showSignature true
git config gpg.program "$EVIL"
"""
MISSING = """\
blob=$(git rev-parse HEAD:prompts/system.md)
rm -f ".git/objects/$(echo "$blob" | cut -c1-2)/$(echo "$blob" | cut -c3-)"
git config core.repositoryFormatVersion 1
git config extensions.partialClone origin
git config remote.origin.promisor true
"""
DRIVER = "git config diff.evil.textconv \"$EVIL\"; echo '* diff=evil' > .git/info/attributes\n"

RUN = {
    "whom a signature is shown by": SIGNED,
    "a promised object, by a command": (
        MISSING + 'git config remote.origin.url "ext::$EVIL x"\n'
        "git config protocol.ext.allow always"
    ),
    "a promised object, over ssh": (
        MISSING + 'git config remote.origin.url ssh://host/x; git config core.sshCommand "$EVIL"'
    ),
    "a promised object, from a folder": (
        MISSING + 'git config remote.origin.url "$PWD"; git config remote.origin.uploadpack "$EVIL"'
    ),
    "what shows a difference": 'git config diff.external "$EVIL"',
    "what makes text of a file": DRIVER + "echo '* diff=evil' > .gitattributes; git add -A; "
    "git -c user.name=a -c user.email=a commit -qm attributes",
    "a filter": (
        'git config filter.evil.clean "$EVIL"; git config filter.evil.smudge "$EVIL"; '
        "echo '* filter=evil' | tee .gitattributes > .git/info/attributes"
    ),
    "a hook": (
        "mkdir -p .git/hooks; for hook in post-checkout post-index-change reference-transaction; "
        'do cp "$EVIL" ".git/hooks/$hook"; done'
    ),
    "a watcher of files": 'git config core.fsmonitor "$EVIL"',
    "an inner repository's watcher": (
        'git init -q inner; git -C inner config core.fsmonitor "$EVIL"; '
        "git -C inner -c user.name=a -c user.email=a commit -q --allow-empty -m x; "
        'git update-index --add --cacheinfo "160000,$(git -C inner rev-parse HEAD),inner"'
    ),
}
"""What git is told to start, and the commands that tell it so."""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "workspace", SEED)


def by_stranger(workspace: Workspace, commands: str) -> Path:
    """Work on a workspace as a stranger; return where whatever was started leaves a mark."""
    mark = workspace.root.parent / "started"
    evil = workspace.root.parent / "evil"
    evil.write_text(f'#!/bin/sh\necho "$0 $*" >> {mark}\nexit 1\n')
    evil.chmod(0o755)
    shell = ["bash", "-euc", commands]
    environment = {**os.environ, "EVIL": str(evil)}
    subprocess.run(shell, cwd=workspace.root, env=environment, check=True, capture_output=True)
    mark.unlink(missing_ok=True)  # what the stranger's own git started
    return mark


def used(root: Path) -> None:
    """Do with a workspace what runs and readers do; each may find it unusable."""

    def change(workspace: Workspace) -> None:
        with workspace.writing() as folder:
            (folder / "prompts" / "system.md").write_text("changed")
            workspace.commit_evolution(None, "change")

    uses = (
        lambda: Workspace.open(root),
        lambda: Workspace.reading(root).snapshot(),
        lambda: Workspace.reading(root).history(),
        lambda: Workspace.reading(root).materialise("HEAD", root.parent / "copy"),
        lambda: change(Workspace.open(root)),
        lambda: Workspace.reading(root).repository.run("show", "--root", "HEAD"),
        lambda: Workspace.reading(root).repository.run("diff", "HEAD~1", "HEAD"),
    )
    for use in uses:
        with contextlib.suppress(GrindstoneError):
            use()


@pytest.mark.parametrize("commands", RUN.values(), ids=RUN)
def test_no_program_that_a_history_names_is_started(workspace, commands):
    mark = by_stranger(workspace, commands)
    used(workspace.root)
    assert not mark.exists(), mark.read_text()


LINKS = {
    "what git leaves alone": 'mv .git/info "$OUT/info"; ln -s "$OUT/info" .git/info',
    "one file of it": 'rm .git/info/attributes; ln -s "$OUT/kept.lock" .git/info/attributes',
    "its refs": 'mv .git/refs "$OUT/refs"; cp "$OUT/kept.lock" "$OUT/refs"; '
    'ln -s "$OUT/refs" .git/refs',
}


@pytest.mark.parametrize("commands", LINKS.values(), ids=LINKS)
def test_a_link_in_a_history_leads_nothing_out(workspace, commands):
    out = workspace.root.parent / "out"
    out.mkdir()
    (out / "kept.lock").write_text("theirs")
    by_stranger(workspace, f"OUT={out}; {commands}")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match="is a link"):
        Workspace.open(workspace.root)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
