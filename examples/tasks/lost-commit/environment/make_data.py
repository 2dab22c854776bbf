"""Builds a site whose latest commit but one was reset away."""

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
    commit(root, "First page", index_dot_html="<h1>Bakery</h1>\n")
    commit(root, "Add a footer", footer_dot_html="<footer>Mill Lane 3</footer>\n")
    draft = commit(root, "Add opening times", hours_dot_txt="to be asked\n")
    git(root, "reset", "-q", "--hard", "HEAD~1")
    lost = commit(
        root,
        "Add opening hours to the footer",
        footer_dot_html="<footer>Mill Lane 3, Tue-Sat 6-13</footer>\n",
        hours_dot_txt="Tue-Sat 6-13\n",
    )
    git(root, "reset", "-q", "--hard", "HEAD~1")
    main = commit(root, "Add a contact page", contact_dot_html="<p>Call us</p>\n")
    return {"lost": lost, "draft": draft, "main": main}


if __name__ == "__main__":
    build(sys.argv[1])
