"""Builds a repository whose feature branch is gone, reflog and all."""

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


def build(root):
    """Return the commits that matter."""
    start(root)
    base = commit(root, "Split lines", parser_dot_py="def parse(line):\n    return line.split(',')\n")
    git(root, "checkout", "-q", "-b", "attempt")
    commit(root, "Handle quotes", quotes_dot_py="QUOTE = \"'\"\n")
    abandoned = commit(root, "Handle nested quotes, first try", quotes_dot_py="QUOTE = None\n")
    git(root, "checkout", "-q", "-b", "feature", base)
    first = commit(root, "Find quoted fields", quotes_dot_py="QUOTE = '\"'\n")
    commit(root, "Test quoted fields", tests__test_quotes_dot_py="assert True\n")
    tip = commit(root, "Handle nested quotes in fields", quotes_dot_py="QUOTE = '\"'\nDEPTH = 2\n")
    git(root, "checkout", "-q", "main")
    main = commit(root, "Strip blanks", parser_dot_py="def parse(line):\n    return [c.strip() for c in line.split(',')]\n")
    git(root, "branch", "-q", "-D", "feature", "attempt")
    git(root, "reflog", "expire", "--expire=now", "--expire-unreachable=now", "--all")
    return {"tip": tip, "first": first, "main": main, "abandoned": abandoned}


if __name__ == "__main__":
    build(sys.argv[1])
