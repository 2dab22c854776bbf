"""The branch must point at the lost commit, and nothing else may have moved."""

import tempfile

import make_data
import runner
import theirs

SAFELY = ("-c", "safe.directory=*", "-c", "core.fsmonitor=false")
REPO = "/app/site"
BRANCH = "rescue"


def git(*arguments):
    run = theirs.run(["git", *SAFELY, "-C", REPO, *arguments])
    assert run.returncode == 0, f"git {arguments[0]} failed"
    return run.stdout.strip()


def expected():
    with tempfile.TemporaryDirectory() as folder:
        return make_data.build(folder)


def test_branch_exists():
    git("rev-parse", "--verify", f"refs/heads/{BRANCH}")


def test_branch_points_at_the_lost_commit():
    assert git("rev-parse", f"refs/heads/{BRANCH}") == expected()["lost"], "another commit"


def test_main_was_left_alone():
    git("rev-parse", "--verify", f"refs/heads/{BRANCH}")
    assert git("rev-parse", "refs/heads/main") == expected()["main"], "main moved"
    assert git("status", "--porcelain") == "", "the working tree changed"


def run():
    runner.main(
        [(n, f) for n, f in globals().items() if n.startswith("test_")], all_or_nothing=True
    )
