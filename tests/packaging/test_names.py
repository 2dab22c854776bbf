"""A word means one thing: no public class name stands for two."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

import grindstone

ALLOWED: dict[str, str] = {}
"""Names that may be two classes, each with the reason."""


@pytest.mark.slow
def test_a_class_name_is_defined_once() -> None:
    root = Path(grindstone.__file__).parent
    places: defaultdict[str, list[str]] = defaultdict(list)
    for folder in (root, *(root / floor for floor in ("flows", "tasks", "blocks"))):
        for path in sorted(folder.rglob("*.py")):  # links are not followed
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(f"{path.resolve()}:{node.lineno}")
    assert len(places) > 400
    twice = {name: found for name, found in places.items() if len(set(found)) > 1}
    assert twice.keys() == ALLOWED.keys(), twice
