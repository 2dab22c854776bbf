"""The stashed files must be on the branch; each is graded apart."""

import tempfile

import make_data
import runner
import theirs

SAFELY = ("-c", "safe.directory=*", "-c", "core.fsmonitor=false")
REPO = "/app/shop"
BRANCH = "salvage"


def git(*arguments):
    run = theirs.run(["git", *SAFELY, "-C", REPO, *arguments])
    assert run.returncode == 0, f"git {arguments[0]} failed"
    return run.stdout.strip()


def expected():
    with tempfile.TemporaryDirectory() as folder:
        return make_data.build(folder)


def content(name):
    run = theirs.run(["git", *SAFELY, "-C", REPO, "show", f"refs/heads/{BRANCH}:{name}"])
    assert run.returncode == 0, f"{name} is not on the branch"
    return run.stdout


def test_branch_exists():
    git("rev-parse", "--verify", f"refs/heads/{BRANCH}")


def test_price_table_is_back():
    assert content("prices.csv") == make_data.STASHED["prices.csv"], "the table differs"


def test_program_is_back():
    assert content("shop.py") == make_data.STASHED["shop.py"], "the program differs"


def test_main_stayed():
    git("rev-parse", "--verify", f"refs/heads/{BRANCH}")
    assert git("rev-parse", "refs/heads/main") == expected()["main"], "main moved"
    assert git("status", "--porcelain") == "", "the working tree changed"


def run():
    runner.main([(n, f) for n, f in globals().items() if n.startswith("test_")])
