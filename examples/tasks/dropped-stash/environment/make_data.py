"""Builds a shop whose stash was dropped."""

import os
import subprocess
import sys
from pathlib import Path

CLOCK = [1_700_000_000]


def git(root, *arguments):
    """Run git with fixed names and a clock that ticks a minute per commit."""
    CLOCK[0] += 60
    stamp = f"{CLOCK[0]} +0000"
    env = {
        "PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Kim", "GIT_AUTHOR_EMAIL": "kim@example.org", "GIT_AUTHOR_DATE": stamp,
        "GIT_COMMITTER_NAME": "Kim", "GIT_COMMITTER_EMAIL": "kim@example.org",
        "GIT_COMMITTER_DATE": stamp,
    }
    run = subprocess.run(["git", "-C", str(root), *arguments], env=env, check=True, capture_output=True, text=True)
    return run.stdout.strip()


def put(root, name, text):
    path = Path(root) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def commit(root, message, **files):
    for name, text in files.items():
        put(root, name.replace("__", "/").replace("_dot_", "."), text)
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", message)
    return git(root, "rev-parse", "HEAD")


def start(root):
    Path(root).mkdir(parents=True, exist_ok=True)
    CLOCK[0] = 1_700_000_000
    git(root, "init", "-q", "-b", "main")
    for key, value in (("gc.auto", "0"), ("user.name", "Kim"), ("user.email", "kim@example.org")):
        git(root, "config", key, value)


STASHED = {
    "prices.csv": "article;price\nrope;12.50\nanchor;310.00\n",
    "shop.py": "import csv\n\nTABLE = 'prices.csv'\n\n\ndef price(article):\n    raise NotImplementedError\n",
}


def build(root):
    """Return the commits that matter."""
    start(root)
    commit(root, "Open the shop", shop_dot_py="def price(article):\n    return 0\n", prices_dot_csv="article;price\n")
    put(root, "shop.py", "def price(article):\n    return 1\n")
    git(root, "stash", "push", "-q", "-m", "constant price")
    git(root, "stash", "drop", "-q")
    for name, text in STASHED.items():
        put(root, name, text)
    git(root, "stash", "push", "-q", "-m", "price table, half done")
    stash = git(root, "rev-parse", "stash@{0}")
    git(root, "stash", "drop", "-q")
    main = commit(root, "Say hello", readme_dot_txt="Welcome aboard\n")
    return {"stash": stash, "main": main}


if __name__ == "__main__":
    build(sys.argv[1])
