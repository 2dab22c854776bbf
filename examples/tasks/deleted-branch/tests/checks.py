"""The branch must be back with its history, and main where it was."""

import tempfile

import make_data
import runner
import theirs

SAFELY = ("-c", "safe.directory=*", "-c", "core.fsmonitor=false")
REPO = "/app/parser"
BRANCH = "feature/quotes"


def git(*arguments):
    run = theirs.run(["git", *SAFELY, "-C", REPO, *arguments])
    assert run.returncode == 0, f"git {arguments[0]} failed"
    return run.stdout.strip()


def expected():
    with tempfile.TemporaryDirectory() as folder:
        return make_data.build(folder)


def test_branch_exists():
    git("rev-parse", "--verify", f"refs/heads/{BRANCH}")


def test_tip_is_the_last_commit():
    assert git("rev-parse", f"refs/heads/{BRANCH}") == expected()["tip"], "another commit"


def test_history_is_whole():
    log = git("rev-list", f"refs/heads/{BRANCH}").split()
    want = expected()
    assert want["first"] in log, "the branch's first commit is not in its history"
    assert want["abandoned"] not in log, "an abandoned attempt is in its history"
    assert len(log) == 4, "the history has another length"


def test_main_stayed():
    git("rev-parse", "--verify", f"refs/heads/{BRANCH}")
    assert git("rev-parse", "refs/heads/main") == expected()["main"], "main moved"


def run():
    runner.main([(n, f) for n, f in globals().items() if n.startswith("test_")])
