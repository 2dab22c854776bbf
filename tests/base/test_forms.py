"""Forms: what they show, what they take, and what was saved before they had groups."""

import re
from importlib import import_module
from typing import Any, get_type_hints

import pytest
from prefect.blocks.core import Block
from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML

from grindstone.blocks import BlockNames, LedgerBlock, ModelBlock
from grindstone.blocks.agent import AgentBlock
from grindstone.blocks.benchmark import BenchmarkBlock
from grindstone.blocks.sandbox import SandboxBlock
from grindstone.blocks.workspace import WorkspaceBlock
from grindstone.resources import bundled
from grindstone.settings import (
    AdaptiveSettings,
    GateSettings,
    GraduationSettings,
    GrindSettings,
    OneTaskSettings,
    RunSettings,
)
from grindstone.settings.form import SettingsForm

INTERNAL = {"slice", "train"}
ENTRIES = YAML(typ="safe", pure=True).load(bundled("prefect.yaml"))["deployments"]


def schema_of(entrypoint: str) -> dict[str, Any]:
    module, name = entrypoint.rsplit(".", 1)
    found: dict[str, Any] = getattr(import_module(module), name).parameters.model_dump()
    return found


def form_of(name: str) -> dict[str, Any]:
    [entry] = [entry for entry in ENTRIES if entry["name"] == name]
    found: dict[str, Any] = schema_of(entry["entrypoint"])["properties"]["settings"]
    return found


def told_above(name: str) -> str:
    """What the form of a flow is written to say."""
    [entry] = [entry for entry in ENTRIES if entry["name"] == name]
    module, flow = entry["entrypoint"].rsplit(".", 1)
    hints = get_type_hints(getattr(import_module(module), flow).fn, include_extras=True)
    [form] = [each for each in hints["settings"].__metadata__ if isinstance(each, SettingsForm)]
    return form.about


def refused(name: str, settings: dict[str, Any]) -> str:
    """What the server says to parameters; empty where it takes them."""
    from prefect.utilities.schema_tools import ValidationError as Refused
    from prefect.utilities.schema_tools import validate

    [entry] = [entry for entry in ENTRIES if entry["name"] == name]
    try:
        validate({"settings": settings}, schema_of(entry["entrypoint"]), raise_on_error=True)
    except Refused as error:
        return str(error)
    return ""


BLOCKS = (AgentBlock, BenchmarkBlock, LedgerBlock, ModelBlock, SandboxBlock, WorkspaceBlock)
SHOWN = [entry["name"] for entry in ENTRIES if entry["name"] not in INTERNAL]


@pytest.mark.parametrize("name", SHOWN)
def test_a_form_shows_eight_fields_and_asks_for_no_type(name: str):
    form = form_of(name)
    groups = {field: item for field, item in form["properties"].items() if "anyOf" in item}
    assert len(form["properties"]) - len(groups) <= 8
    assert form["description"] == told_above(name), "a docstring's words take its place"
    inside = [field for group in groups.values() for field in group["anyOf"][1]["properties"]]
    shown = [*form["properties"].keys() - groups.keys(), *inside]
    assert len(shown) == len(set(shown)), "no field is asked for twice"
    assert not groups.keys() & {key.strip("^$") for key in form["patternProperties"]}
    for item in [*form["properties"].values(), *(g["anyOf"][1] for g in groups.values())]:
        assert {"type": "null"} not in item.get("anyOf", [])
    assert "work_dir" not in shown


@pytest.mark.parametrize("name", ["grind", "adapt", "compare", "gate", "warrant", "compete"])
def test_a_setting_that_is_new_is_not_forgotten(name: str):
    form = form_of(name)
    shown = set(form["properties"])
    for item in form["properties"].values():
        shown |= set(item["anyOf"][1]["properties"] if "anyOf" in item else ())
    every = {key.strip("^$") for key in form["patternProperties"]}
    assert every - shown == {"work_dir"}


@pytest.mark.parametrize(
    ("name", "strangers"),
    [
        ("review", {"agent_id", "model_id", "max_tokens", "sandbox", "max_steps", "ask"}),
        ("exam", {"agents", "ask", "validated_by", "weekly", "task_ids"}),
        ("graduate", {"agents", "weekly", "task_ids", "score_mode"}),
        ("try-one-task", {"evolve_skills", "success_mode", "max_cycles", "limit", "gate_rule"}),
    ],
)
def test_a_form_has_no_field_of_another_flow(name: str, strangers: set[str]):
    form = form_of(name)
    shown = set(form["properties"])
    for item in form["properties"].values():
        shown |= set(item["anyOf"][1]["properties"] if "anyOf" in item else ())
    assert not shown & strangers


def test_a_task_is_chosen_among_those_that_are_bundled():
    task = form_of("try-one-task")["properties"]["task"]
    there = {place.parent.name for place in bundled("examples/tasks").glob("*/task.toml")}
    assert set(task["enum"]) == there
    assert OneTaskSettings(task="crlf-kit").grind.task_ids == ["crlf-kit"]
    # One's own is begun with in the same list of fields, not behind a group.
    assert list(form_of("try-one-task")["properties"])[:2] == ["task", "tasks_dir"]
    once = OneTaskSettings().grind
    assert (once.limit, once.max_cycles, once.scope().allows_anything) == (1, 1, False)


@pytest.mark.parametrize("model", [GrindSettings, AdaptiveSettings, GateSettings])
def test_parameters_that_were_saved_flat_are_still_taken(model: type[RunSettings]):
    name = {GrindSettings: "grind", AdaptiveSettings: "adapt", GateSettings: "gate"}[model]
    saved = model(agent_id="fred", max_steps=7, gate_trials=2).model_dump(mode="json")
    assert refused(name, saved) == ""
    assert model.model_validate(saved).model_dump(mode="json") == saved
    once = {"limit": 1, "max_cycles": 1, "evolve_skills": False, "task_skill_mode": "off"}
    assert refused("try-one-task", once) == ""


def test_a_group_is_taken_for_its_fields_and_wins_unless_it_says_the_default():
    given = {"max_steps": 7, "who_works": {"max_steps": 100, "max_tokens": 99, "agent": ""}}
    assert refused("grind", given) == ""
    found = GrindSettings.model_validate(given)
    assert (found.max_steps, found.max_tokens, found.agent) == (7, 99, None)
    given["who_works"] = {"max_steps": 8}
    assert GrindSettings.model_validate(given).max_steps == 8
    by_name = GrindSettings.model_validate({"who_works": {"agent": "codex"}})
    assert by_name.native_profile.value == "command"


def test_what_does_not_fit_is_refused_where_it_stands():
    assert "learning.batch_size" in refused("grind", {"learning": {"batch_size": 0}})
    assert "minimum of 1" in refused("grind", {"learning": {"batch_size": 0}})
    assert "'max_step' was unexpected" in refused("grind", {"who_works": {"max_step": 1}})
    assert "'max_step' does not match" in refused("grind", {"max_step": 1})
    assert "minimum of 1" in refused("grind", {"max_steps": 0})
    with pytest.raises(ValidationError, match="max_step"):
        GrindSettings.model_validate({"who_works": {"max_step": 1}})


def test_every_field_says_in_a_form_what_its_flag_says():
    model: type[BaseModel] = GraduationSettings
    [rules] = [item for name, item in form_of("review")["properties"].items() if name == "rules"]
    for name, field in rules["anyOf"][1]["properties"].items():
        assert field["description"] == model.model_fields[name].description


def test_a_saved_block_is_picked_or_named():
    blocks = schema_of("grindstone.flows.grind.grind")["definitions"]["BlockNames"]["properties"]
    assert {item["block_type_slug"] for item in blocks.values()} == {
        f"grindstone-{name}" for name in BlockNames.model_fields
    }
    picked = ModelBlock()
    picked._block_document_name = "mine"
    assert BlockNames.model_validate({"model": picked, "agent": ""}) == BlockNames(model="mine")


def test_blocks_refuse_what_no_run_could_use():
    with pytest.raises(ValidationError, match="of no known form"):
        ModelBlock(model_id="gpt-nonsense")
    with pytest.raises(ValidationError, match="expected an absolute path"):
        LedgerBlock(work_dir="relative/home")  # type: ignore[arg-type]
    pattern = ModelBlock.model_json_schema()["properties"]["model_id"]["pattern"]
    import re

    for known in ("auto", "rehearsal", "claude-opus-5-5", "openai:qwen3@http://127.0.0.1:1/v1"):
        assert re.match(pattern, known)
    assert not re.match(pattern, "gpt-nonsense")


_RAW = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")


@pytest.mark.parametrize("name", SHOWN)
def test_no_text_of_a_form_speaks_of_a_setting_by_its_name_in_code(name: str):
    form = form_of(name)
    fields = dict(form["properties"])
    for field in form["properties"].values():
        for leaf in field.get("anyOf", ()):
            fields |= leaf.get("properties", {})
    for field, schema in fields.items():
        told = f"{schema.get('title', '')} {schema.get('description', '')}"
        assert not {*_RAW.findall(told)} & {*RunSettings.model_fields, *fields}, (field, told)
        assert not re.search(r" (s|usd|days)$", schema.get("title", "")), field


@pytest.mark.parametrize("block", BLOCKS)
def test_a_blocks_field_is_of_one_type_and_empty_is_none(block: type[Block]):
    schema = block.model_json_schema()
    for field, asks in schema["properties"].items():
        assert "anyOf" not in asks, field
        assert "_" not in asks["title"] and not re.search(r"Api|Url|Openai|Aws", asks["title"])
    secret = {name for name, asks in schema["properties"].items() if asks.get("writeOnly")}
    assert secret == set(schema["secret_fields"])
    optional = {name for name, info in block.model_fields.items() if info.default is None}
    needed = {LedgerBlock: {"work_dir": "/home"}, AgentBlock: {"agent": "codex"}}.get(block, {})
    made = block(**dict.fromkeys(optional, "") | needed)
    assert {getattr(made, name) for name in optional - needed.keys()} <= {None}
