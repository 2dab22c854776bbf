"""Nothing about any task's result is written down in the rehearsal."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from example_tasks import TASK_IDS, TASKS

import grindstone.rehearsal
from grindstone.rehearsal import knowledge
from grindstone.skills.format import parse_skill
from grindstone.skills.leaks import find_leaks
from grindstone.skills.quality import check_quality, paths_of

PACKAGE = Path(grindstone.rehearsal.__file__).parent
SOURCES = {
    path: path.read_text(encoding="utf-8")
    for path in sorted(PACKAGE.rglob("*"))
    if path.suffix in (".py", ".md")
}


def module_of(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"truth_{path.parent.parent.name}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item)
            yield from leaves(key)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from leaves(item)
    else:
        yield str(value)


def expected(task: str, tmp_path: Path) -> set[str]:
    """Return the values a task is checked for, those long enough to be telling."""
    path = TASKS / task / "tests" / "make_data.py"
    found: list[str] = []
    if path.is_file():
        truth = module_of(path)
        for name in ("expected", "errors_per_hour", "timeline"):
            if hasattr(truth, name):
                found += leaves(getattr(truth, name)())
        if hasattr(truth, "records"):
            names = getattr(truth, "SYSTEMS", {"": None})
            rows = [truth.records(name) if name else truth.records() for name in names]
            found += [
                leaf for table in rows for row in table for leaf in leaves(list(row.values()))
            ]
        if hasattr(truth, "build"):
            found += truth.build(tmp_path / "repository").values()
    return {leaf for leaf in found if len(leaf) >= 4}


@pytest.mark.parametrize("task", TASK_IDS)
def test_no_expected_value_is_in_the_package(task: str, tmp_path: Path):
    values = expected(task, tmp_path)
    if (TASKS / task / "tests" / "make_data.py").is_file():
        assert values
    for path, text in SOURCES.items():
        held = {value for value in values if value in text}
        assert not held, f"{path.name} holds {held}"


@pytest.mark.parametrize("task", TASK_IDS)
def test_no_task_is_known_by_name_path_or_check(task: str):
    instruction = (TASKS / task / "instruction.md").read_text()
    checks = (TASKS / task / "tests" / "checks.py").read_text()
    telling = {task, *paths_of(instruction), *re.findall(r"def (test_\w+)", checks)}
    telling |= set(re.findall(r"\"([^\"\n]{12,})\"", instruction))
    for path, text in SOURCES.items():
        held = {word for word in telling if re.search(rf"(?<![\w-]){re.escape(word)}(?!\w)", text)}
        assert not held, f"{path.name} holds {held}"


@pytest.mark.parametrize("entry", knowledge.entries(), ids=lambda entry: entry.skill)
def test_knowledge_makes_skills_that_pass_the_quality_gate(entry: knowledge.FieldKnowledge):
    skill = parse_skill(entry.skill_md(1))
    paths = [p for t in TASK_IDS for p in paths_of((TASKS / t / "instruction.md").read_text())]
    assert check_quality(skill, task_ids=TASK_IDS, task_paths=paths) == ()
    assert skill.category == entry.category
    assert max(map(len, entry.body.splitlines())) < 160, "a terminal would wrap it"


@pytest.mark.parametrize("entry", knowledge.entries(), ids=lambda entry: entry.skill)
def test_every_field_is_called_for_by_its_own_words_only(entry: knowledge.FieldKnowledge):
    for task in TASK_IDS:
        text = (TASKS / task / "instruction.md").read_text()
        category = re.search(r'category = "(.+)"', (TASKS / task / "task.toml").read_text())
        assert category
        best = knowledge.matching(text, category[1])[0]
        assert (best.skill == entry.skill) == (category[1] == entry.category)


@pytest.mark.parametrize("task", TASK_IDS)
def test_the_leak_guard_finds_nothing_in_what_is_taught(task: str):
    sources = {p.name: p.read_text() for p in (TASKS / task / "tests").iterdir() if p.is_file()}
    instruction = (TASKS / task / "instruction.md").read_text()
    for entry in knowledge.entries():
        text = entry.skill_md(2, entry.notes)
        assert find_leaks(text, test_sources=sources, instruction=instruction) == ()
