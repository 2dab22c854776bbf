"""Files of which no test is wanted, told without importing them.

`make quick` leaves out tests by marks that many files give to all of theirs; what those import is
the dearer half of all that is imported.
"""

import ast
import re
from functools import cache
from pathlib import Path

LEFT_OUT = re.compile(r"not \((\w+(?: or \w+)*)\)")


@cache
def left_out_by(expression: str) -> frozenset[str]:
    """Return the marks that an expression of the form "not (a or b)" leaves out, else none."""
    found = LEFT_OUT.fullmatch(expression.strip())
    return frozenset(found[1].split(" or ")) if found else frozenset()


def unwanted(path: Path, expression: str) -> bool:
    """Return whether every test of a file has a mark that an expression leaves out."""
    marks = left_out_by(expression)
    return bool(marks) and path.name.startswith("test_") and bool(marks & marks_of(path))


def marks_of(path: Path) -> set[str]:
    """Return the marks that a file gives to all its tests by its `pytestmark`."""
    found = set()
    for statement in ast.parse(path.read_text(), str(path)).body:
        if isinstance(statement, ast.Assign) and "pytestmark" in map(
            ast.unparse, statement.targets
        ):
            for node in ast.walk(statement.value):
                if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pytest.mark":
                    found.add(node.attr)
    return found
