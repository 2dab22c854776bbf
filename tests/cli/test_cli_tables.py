"""Flags and environment variables are the documents': names, defaults, readable help."""

import os
import re
from collections.abc import Mapping
from typing import Any

import pytest
import typer

from grindstone.flows.cli.app import app
from grindstone.flows.cli.environment import PLAIN, variable_names
from grindstone.flows.cli.grind import PANELS
from grindstone.flows.cli.options import given_values, settings_from
from grindstone.settings import GrindSettings

# The document's table "Key Parameters and Configuration", word for word.
DOCUMENTED = {
    "--max-cycles": "3",
    "--batch-size": "1",
    "--max-workers": "1",
    "--evolve-skills": "true",
    "--evolve-memory": "false",
    "--evolve-prompts": "false",
    "--evolve-tools": "false",
    "--distill": "false",
    "--feedback-level": "tests",
    "--no-direct-answers": "true",
    "--task-skill-mode": "pre_generate_and_retry",
    "--skill-select-limit": "0",
    "--success-mode": "gated_promotion",
    "--promotion-threshold": "1",
    "--model-id": "us.anthropic.claude-opus-4-5-20251101-v1:0",
    "--evolver-model-id": "(same as solver)",
    "--native-profile": "terminus2",
    "--score-mode": "dual",
    "--seed-workspace": "seed_workspaces/skillbench",
}
OURS = {
    "--model-id": "auto",  # a model of one account and year is no default for everybody
    "--evolver-model-id": None,  # empty: the solver's
    "--seed-workspace": None,  # empty: the bundled seed_workspaces/skillbench, wherever installed
}


def grind() -> Any:
    group: Any = typer.main.get_command(app)
    return group.get_command(None, "grind")


def parse(*arguments: str) -> GrindSettings:
    context = grind().make_context("grind", list(arguments))
    return settings_from(GrindSettings, given_values(GrindSettings, context.params, os.environ))


def spelled(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)


def test_every_documented_flag_has_its_name_and_default():
    flags = {name for parameter in grind().params for name in parameter.opts}
    assert flags >= DOCUMENTED.keys()
    defaults = parse()
    for flag, value in DOCUMENTED.items():
        have = getattr(defaults, flag.removeprefix("--").replace("-", "_"))
        assert spelled(have) == OURS.get(flag, value), flag


def test_the_bundled_workspace_is_the_documented_one():
    from grindstone.resources import bundled

    seed = bundled("seed_workspaces/skillbench")
    assert sorted(path.name for path in (seed / "skills").iterdir()) == [
        "data-formats",
        "environment-discovery",
        "python-packages",
        "skill-usage",
    ]


def test_the_documents_quick_test_is_understood():
    asked = parse(
        *("--batch-size", "2", "--max-cycles", "3", "--use-skills", "false", "--limit", "2", "-v")
    )
    assert (asked.batch_size, asked.max_cycles, asked.use_skills, asked.limit) == (2, 3, False, 2)


def test_the_documents_full_run_is_understood():
    model = "us.anthropic.claude-opus-4-5-20251101-v1:0"
    asked = parse(
        *("--batch-size", "1", "--max-cycles", "3", "--use-skills", "false"),
        *("--feedback-level", "tests", "--task-skill-mode", "pre_generate_and_retry"),
        *("--evolve-skills", "true", "--evolve-memory", "false", "--evolve-prompts", "false"),
        *("--success-mode", "gated_promotion", "--promotion-threshold", "1"),
        *("--model-id", model, "--region", "us-west-2"),
    )
    assert asked == GrindSettings(model_id=model, region="us-west-2")


def test_the_documents_environment_is_understood(monkeypatch: pytest.MonkeyPatch):
    values: Mapping[str, str] = {
        "MAX_CYCLES": "5",
        "BATCH_SIZE": "2",
        "MODEL_ID": "us.anthropic.claude-opus-4-5-20251101-v1:0",
        "USE_SKILLS": "true",
        "FEEDBACK_LEVEL": "masked",
        "TASK_SKILL_MODE": "retry_only",
        "SUCCESS_MODE": "draft_only",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    found = parse()
    for name, value in values.items():
        assert spelled(getattr(found, name.lower())) == value
    assert parse("--max-cycles", "4").max_cycles == 4
    monkeypatch.setenv("GRINDSTONE_MAX_CYCLES", "6")
    assert parse().max_cycles == 6


@pytest.mark.parametrize("name", sorted(GrindSettings.model_fields))
def test_every_setting_is_a_flag_and_a_variable(name: str):
    (option,) = [each for each in grind().params if each.name == name]
    assert option.opts == [f"--{name.replace('_', '-')}"]
    assert option.help == GrindSettings.model_fields[name].description
    assert variable_names(name)[0] == f"GRINDSTONE_{name.upper()}"


def test_plain_names_are_the_documents_alone():
    tables = {flag.removeprefix("--").replace("-", "_") for flag in DOCUMENTED}
    shown_in_commands = {"limit", "use_skills", "task_ids"}
    assert tables | shown_in_commands == PLAIN


@pytest.mark.commands
def test_help_is_in_groups(command):
    done = command("grind", "--help")
    assert done.code == 0
    panels = re.findall(r"╭─ (.+?) ─", done.out)
    assert panels == list(dict.fromkeys(panels))
    assert {*PANELS.values()} <= {*panels}
    for flag in DOCUMENTED:
        assert len(re.findall(rf"{flag}\s", done.out)) >= 1, flag
    assert max(map(len, done.out.splitlines())) <= 120


@pytest.mark.commands
def test_importing_the_command_is_cheap():
    import subprocess
    import sys

    code = (
        "import sys, flows.cli.app; "
        "print([m for m in ('prefect', 'anthropic', 'docker', 'polars') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
