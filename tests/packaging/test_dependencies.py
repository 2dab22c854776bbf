"""What is imported is declared, and not only there because something else asks for it."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_every_package_that_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(one for each in extras.values() for one in each)]
    declared = {_plain(re.split(r"[\[<>=! ]", each)[0]) for each in wanted}
    # What an extra of a package brings: the SDK's clients for Bedrock and Vertex.
    declared |= {"boto3", "botocore", "google-auth"}
    owners = packages_distributions()
    missing = {
        name: path
        for name, path in _imported().items()
        if not {_plain(each) for each in owners.get(name, [name])} & declared
    }
    assert not missing


def _imported() -> dict[str, str]:
    found: dict[str, str] = {}
    for folder in ("grindstone", "flows", "tasks", "blocks"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Import):
                    names = [each.name for each in node.names]
                else:
                    whole = isinstance(node, ast.ImportFrom) and not node.level
                    names = [node.module or ""] if whole else []
                found |= {name.split(".")[0]: str(path) for name in names}
    return {n: p for n, p in found.items() if n not in sys.stdlib_module_names | {"grindstone"}}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
