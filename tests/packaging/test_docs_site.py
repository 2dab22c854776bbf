"""The documentation's reference is made from the code: nothing that can be given is left out.

`make check` builds the whole site, and fails where a link leads nowhere.
"""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

import grindstone.settings
from grindstone.flows.cli.app import COMMANDS, app

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_site", ROOT / "scripts" / "docs_site.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_command_and_flag_is_in_the_reference(site: ModuleType) -> None:
    _, text = site.reference_pages()["reference/cli.md"]
    sections = dict(re.findall(r"^##+ (.+)\n\n((?:(?!^##).*\n?)*)", text, re.MULTILINE))
    group: Any = typer.main.get_command(app)
    seen = 0
    for name in COMMANDS:
        command = group.get_command(None, name)
        parts = getattr(command, "commands", {})
        for words, each in [(name, command), *((f"{name} {n}", c) for n, c in parts.items())]:
            for option in each.params:
                if option.param_type_name == "option" and not option.hidden:
                    seen += 1
                    assert f"`{option.opts[0]}`" in sections[words], (words, option.name)
    assert seen > 300


def test_every_setting_is_in_the_reference_with_what_it_takes(site: ModuleType) -> None:
    _, text = site.reference_pages()["reference/settings.md"]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", text, re.MULTILINE))
    for name in dir(grindstone.settings):
        fields = getattr(getattr(grindstone.settings, name), "model_fields", {})
        assert set(fields) <= set(rows), name
    assert rows["max_workers"].startswith("whole number, ≥ 1")
    assert rows["feedback_level"].startswith("none, score, tests, masked, full | `tests`")
    assert rows["gate_alpha"].startswith("number, > 0, &lt; 0.5 | `0.05` | Level")


def test_every_name_of_a_room_is_in_the_reference(site: ModuleType) -> None:
    shown = site.room("ledger")
    assert "::: grindstone.ledger.store.Ledger" in shown
    assert {"agents", "benchmark", "evolve", "flows", "gate", "ledger"} <= set(site.rooms())
