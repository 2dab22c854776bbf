"""README.md names commands, flags, targets and pages that exist, and all of the commands."""

import re
from pathlib import Path

import click
from typer.main import get_command

from grindstone.flows.cli.app import COMMANDS, app

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "README.md").read_text("utf-8")
LINES = re.findall(r"^\$ (.+?)(?:\s+#.*)?$", PAGE, re.MULTILINE)


def test_its_table_holds_every_command():
    table = [line for line in PAGE.splitlines() if line.startswith("| **")]
    cells = [line.split("|")[2] for line in table]
    named = [name for cell in cells for name in re.findall(r"`(?:grindstone )?(\w+)`", cell)]
    assert sorted(named) == sorted(COMMANDS)


def test_the_flags_it_shows_exist():
    group = get_command(app)
    shown = [line.split("grindstone ", 1)[1].split() for line in LINES if "grindstone " in line]
    assert len(shown) >= 3
    for name, *words in shown:
        command = group.get_command(click.Context(group), name)
        known = {flag for parameter in command.params for flag in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, name


def test_its_targets_and_pages_exist():
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    made = re.findall(r"`?make ([a-z]+)", PAGE)
    assert set(made) <= set(targets)
    assert {"demo", "test", "check"} <= set(made)
    for link in re.findall(r"\]\((?!https://)([^)]+)\)", PAGE):
        page, _, anchor = link.partition("#")
        assert (ROOT / page).is_file(), page
        heads = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(), re.MULTILINE) if anchor else []
        slugs = {re.sub(r"[^\w -]", "", head).strip().lower().replace(" ", "-") for head in heads}
        assert not anchor or anchor in slugs, link
