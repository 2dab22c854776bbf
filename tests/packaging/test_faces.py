"""What a room shows: every documented name is there, completes in a notebook, and costs nothing."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import grindstone

STUBS = sorted(Path(grindstone.__file__).parent.glob("*/__init__.pyi"))


@pytest.mark.parametrize("stub", STUBS, ids=lambda stub: stub.parent.name)
def test_a_room_shows_the_names_of_its_stub(stub: Path):
    room = importlib.import_module(f"grindstone.{stub.parent.name}")
    imports = (
        node for node in ast.parse(stub.read_text()).body if isinstance(node, ast.ImportFrom)
    )
    names = {alias.name for node in imports for alias in node.names}
    assert names
    assert names <= set(dir(room))
    assert set(room.__all__) == names
    for name in names:
        assert getattr(room, name) is not None


@pytest.mark.commands
def test_a_room_loads_nothing_before_it_is_asked():
    heavy = ("polars", "numpy", "scipy", "prefect", "anthropic", "docker", "altair")
    rooms = ", ".join(f"grindstone.{stub.parent.name}" for stub in STUBS)
    code = f"import {rooms}, sys; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
