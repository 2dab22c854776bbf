"""A task made of free text and a check, in the folder format everything else reads."""

from pathlib import Path

from grindstone.digest import digest, digest_tree
from grindstone.errors import InputError
from grindstone.files import write_atomic

DOCKERFILE = "FROM python:3.11-slim-bookworm\nWORKDIR /app\n"
TASK_TOML = """version = "1.0"

[metadata]
title = "A routed task"
category = "routed"

[verifier]
timeout_sec = 300.0

[agent]
timeout_sec = 900.0

[environment]
cpus = 1
memory = "1G"
"""
TEST = """#!/bin/bash
# The check the task was routed with decides.
mkdir -p /logs/verifier
if bash /tests/check.sh; then echo 1; else echo 0; fi > /logs/verifier/reward.txt
"""


def make_task(parent: Path, text: str, check: str, environment: Path | None = None) -> Path:
    """Return the folder of a task, made the first time: the same text and check, the same folder.

    Args:
        parent: Where it is made.
        text: What the agent is told.
        check: A shell command; its exit code 0 means that the task was done.
        environment: A folder with a Dockerfile; None: plain Python.

    Raises:
        InputError: The check is empty, or the environment has no Dockerfile.
    """
    if not check.strip():
        raise InputError("--check", "is empty", "a shell command")
    files = {"Dockerfile": DOCKERFILE.encode()}
    if environment is not None:
        if not (environment / "Dockerfile").is_file():
            raise InputError("--environment-dir", f"{environment} has no Dockerfile", "one")
        files = {
            path.relative_to(environment).as_posix(): path.read_bytes()
            for path in sorted(environment.rglob("*"))
            if path.is_file() and not path.is_symlink()
        }
    content = digest_tree(environment) if environment else DOCKERFILE
    folder = parent / f"routed-{digest([text, check, content])[:12]}"
    if (folder / "task.toml").is_file():
        return folder
    for name, data in files.items():
        write_atomic(folder / "environment" / name, data)
    write_atomic(folder / "instruction.md", text.rstrip("\n") + "\n")
    write_atomic(folder / "tests" / "check.sh", check.rstrip("\n") + "\n")
    write_atomic(folder / "tests" / "test.sh", TEST)
    write_atomic(folder / "task.toml", TASK_TOML)  # last: with it the folder is a task
    return folder
