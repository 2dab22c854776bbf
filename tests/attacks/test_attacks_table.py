"""The table of docs/security.md: each row is held by tests that are here, and none is left out.

A row names tests and how many ways they try, and where. Both are counted from the tests.
"""

import ast
import importlib.util
import inspect
import math
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs" / "security.md"
HEADING = "## What is tried"
LEAST = 80

BOTH = {"provider", "sandbox", "start", "attacked"}
"""Fixtures of which a test has one on each engine."""


class Row(NamedTuple):
    about: str
    ways: int
    where: str
    tests: tuple[str, ...]  # module: test


def rows() -> Iterator[Row]:
    section = DOCUMENT.read_text(encoding="utf-8").split(HEADING)[1].split("\n## ")[0]
    for line in section.splitlines():
        if not line.startswith("| ") or line.startswith(("| what is tried |", "|--")):
            continue
        about, ways, where, tests = (cell.strip() for cell in line.strip("|").split(" | "))
        module, _, names = tests.partition(": ")
        named = tuple(f"{module}: {name}" for name in re.findall(r"`(\w+)`", names))
        assert named, line
        yield Row(about, int(ways), where, named)


def _module(name: str) -> ModuleType:
    path = HERE / f"test_attacks_{name}.py"
    spec = importlib.util.spec_from_file_location(f"counted_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = found
    spec.loader.exec_module(found)
    return found


def _tests(name: str) -> dict[str, Callable[..., Any]]:
    """A module's tests by the name without `test_`."""
    found = vars(_module(name)).items()
    return {
        key.removeprefix("test_"): value
        for key, value in found
        if key.startswith("test_") and inspect.isfunction(value)
    }


def _count(test: Callable[..., Any]) -> int:
    """How many ways a test tries on an engine: its parameters, or what it walks through."""
    marks = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    lists = [list(mark.args[1]) for mark in marks]
    if all(isinstance(each, dict) for given in lists for each in given) and lists:
        return sum(len(each) for given in lists for each in given)
    return math.prod(len(given) for given in lists) * int(getattr(test, "ways", 1))


def _where(test: Callable[..., Any]) -> str:
    marks = {mark.name for mark in getattr(test, "pytestmark", [])}
    if BOTH & set(inspect.signature(test).parameters):
        return "both"
    return "Docker" if "docker" in marks else "bubblewrap" if "bubblewrap" in marks else "outside"


def test_every_row_names_tests_that_are_there_and_counts_them_right() -> None:
    known: dict[str, dict[str, Callable[..., Any]]] = {}
    wrong = []
    for row in rows():
        module = row.tests[0].partition(": ")[0]
        known.setdefault(module, _tests(module))
        names = [each.partition(": ")[2] for each in row.tests]
        absent = [name for name in names if name not in known[module]]
        if absent:
            wrong.append(f"{row.about}: no test {absent} in {module}")
            continue
        ways = sum(_count(known[module][name]) for name in names)
        where = {_where(known[module][name]) for name in names}
        if (ways, where) != (row.ways, {row.where}):
            wrong.append(f"{row.about}: {ways} ways, {', '.join(sorted(where))}")
    assert not wrong, "\n".join(wrong)


def test_every_test_of_an_attack_is_in_a_row() -> None:
    told = {each for row in rows() for each in row.tests}
    untold = []
    for path in sorted(HERE.glob("test_attacks_*.py")):
        if path == Path(__file__):
            continue
        name = path.stem.removeprefix("test_attacks_")
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            test = node.name.removeprefix("test_")
            if node.name.startswith("test_") and f"{name}: {test}" not in told:
                untold.append(f"{name}: `{test}`")
    assert not untold, "\n".join(untold)


def test_every_strength_names_tests_that_are_there() -> None:
    table = DOCUMENT.read_text(encoding="utf-8").split("| | Docker |")[1].split("\n\n")[0]
    lines = table.splitlines()[2:]
    assert len(lines) > 10
    wrong = []
    for line in lines:
        about, *strengths, tests = (cell.strip() for cell in line.strip("|").split(" | "))
        assert len(strengths) == 3, line
        for named in tests.split("; "):
            module, _, names = named.partition(": ")
            (file,) = HERE.parent.rglob(f"test_{module}.py")
            there = {
                node.name
                for node in ast.parse(file.read_text(encoding="utf-8")).body
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            }
            asked = {f"test_{name}" for name in re.findall(r"`(\w+)`", names)}
            if not asked or not asked <= there:
                wrong.append(f"{about}: {module} has no {sorted(asked - there)}")
    assert not wrong, "\n".join(wrong)


def test_there_are_enough_of_them() -> None:
    counted = {"both": 0, "Docker": 0, "bubblewrap": 0, "outside": 0}
    for row in rows():
        counted[row.where] += row.ways
    assert counted["both"] >= LEAST, counted
