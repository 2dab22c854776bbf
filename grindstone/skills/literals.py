"""The values a task's tests compare with, taken from the tests' source.

Only what stands in a comparison counts: the sides of ==, !=, in, <, >; the arguments of
assertEqual and its kin, of approx, of parametrize; what is bound to a name such as EXPECTED,
or, in any of the tests' Python files, to a name that a comparison holds. Column names used as
subscripts, file names passed to open and messages do not. Of what a verifier says, it is what
its messages compare.
"""

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping

_EXPECTED_NAME = re.compile(r"(^|_)(expected|answers?|solution|gold(en)?|truth)(_|$)", re.I)
_COMPARING_CALL = re.compile(r"^(assert\w*|approx|isclose|allclose|parametrize)$")
_SHELL = (
    re.compile(r"""(?:==?|!=|=~)\s*("[^"$`]*"|'[^']*'|[\w.+-]+)"""),
    re.compile(r"""\s-(?:eq|ne|lt|le|gt|ge)\s+(-?\d+)"""),
    re.compile(r"""\bgrep\s+(?:-\w+\s+)*(?:--\s+)?("[^"$`]*"|'[^']*')"""),
    re.compile(r"""\b(?:diff|cmp|comm)\b.*?\b(?:echo|printf)\s+("[^"$`]*"|'[^']*')"""),
    re.compile(r"""\b\w*(?:expected|EXPECTED|answer|ANSWER)\w*=("[^"$`]*"|'[^']*'|[\w.+-]+)"""),
    re.compile(r"""\bassert\w*\s+.*?("[^"$`]*"|'[^']*')"""),
)
_SPEAKS = re.compile(
    r"\bassert|==|!=|\bexpect|\bshould\b|\bmust\b|\binstead\b|\bgot\b|differ|wanted", re.I
)
_SHOWN = re.compile(
    r"\"([^\"]{1,400})\"|'([^']{1,400})'|(?<![\w.])(-?\d[\d,._]*\d|\d)(?![\w.])|"
    r"(?:expected|want(?:ed)?|should be|must be|==)\s*:?\s+([^\s\"'(\[{<][^\"'(\[{<,;]{2,80})",
    re.I,
)
_LINE_CHARS = 4_000


def expected_literals(sources: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values in the tests' comparisons, as text, in order, each once.

    Args:
        sources: Test files by name: Python by its syntax, .json by its leaves, any other
            by the shell's ways of comparing.
    """
    found = [value for name, text in sorted(sources.items()) for value in _of_file(name, text)]
    trees = [tree for name, text in sorted(sources.items()) if (tree := _parsed(name, text))]
    compared = {name for tree in trees for name in _compared_names(tree)}
    found += [value for tree in trees for value in _bound_to(tree, compared)]
    return tuple(dict.fromkeys(value.strip() for value in found if value.strip()))


def compared_values(output: str) -> tuple[str, ...]:
    """Return the values that a verifier's output or a test's message shows to be compared.

    Read are pytest's `E` lines, lines with a comparison, and lines that speak of what was
    expected: their quoted texts and numbers, and whatever follows the comparison.
    """
    found: dict[str, None] = {}
    for line in output.splitlines():
        text = re.sub(r"^E\s+", "", line.strip())
        if not (text != line.strip() or _SPEAKS.search(text)):
            continue
        for match in _SHOWN.finditer(text[:_LINE_CHARS]):
            value = next(part for part in match.groups() if part is not None)
            if value.strip():
                found.setdefault(value.strip())
    return tuple(found)


def _of_file(name: str, text: str) -> Iterable[str]:
    if name.endswith(".py"):
        tree = _parsed(name, text)
        return list(_of_python(tree) if tree is not None else _of_shell(text))
    if name.endswith(".json"):
        try:
            return list(_of_json(json.loads(text)))
        except (ValueError, RecursionError):
            return []
    python = [list(_of_file("x.py", inner)) for inner in _heredocs(text)]
    return [*_of_shell(text), *(value for values in python for value in values)]


def _parsed(name: str, text: str) -> ast.Module | None:
    try:
        return ast.parse(text) if name.endswith(".py") else None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _compared_names(tree: ast.AST) -> Iterator[str]:
    """Names whose value a comparison takes: `WANT`, `data.WANT`, `WANT["a"]`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            for side in (node.left, *node.comparators):
                held = side
                while isinstance(held, ast.Subscript):
                    held = held.value
                if isinstance(held, ast.Attribute):
                    yield held.attr
                elif isinstance(held, ast.Name):
                    yield held.id


def _bound_to(tree: ast.Module, names: set[str]) -> Iterator[str]:
    """Values that a module binds to names, at its top."""
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(at, ast.Name) and at.id in names for at in targets):
                yield from _constants(node.value)


def _heredocs(text: str) -> list[str]:
    """Python that a shell test carries with it."""
    found = re.findall(r"<<-?\s*['\"]?(\w+)['\"]?[^\n]*\n(.*?)\n\1\b", text, re.DOTALL)
    return [body for _, body in found if re.search(r"^\s*(assert|import|from)\b", body, re.M)]


def _of_shell(text: str) -> Iterator[str]:
    for pattern in _SHELL:
        for match in pattern.finditer(text):
            yield match.group(1).strip("\"'")


def _of_json(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _of_json(item)
    elif isinstance(value, list):
        for item in value:
            yield from _of_json(item)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield str(value)


def _of_python(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            for side in (node.left, *node.comparators):
                yield from _constants(side)
        elif isinstance(node, ast.Call) and _COMPARING_CALL.match(_called(node)):
            for argument in node.args:
                yield from _constants(argument)
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(at, ast.Name) and _EXPECTED_NAME.search(at.id) for at in targets):
                yield from _constants(node.value)


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _constants(node: ast.expr) -> Iterator[str]:
    """Values written out in an expression; nothing a subscript or a plain call holds."""
    match node:
        case ast.Constant(value=value):
            yield from _written(value)
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            yield str(-number)
        case ast.List() | ast.Tuple() | ast.Set():
            yield from _all(node.elts)
        case ast.Dict(keys=keys, values=values):
            yield from _all([*values, *(key for key in keys if key is not None)])
        case ast.BinOp(left=left, right=right):
            yield from _all([left, right])
        case ast.Call() if _called(node) in {"approx", "Decimal", "float", "int", "set", "round"}:
            yield from _all(node.args[:1])


def _all(nodes: Iterable[ast.expr]) -> Iterator[str]:
    for node in nodes:
        yield from _constants(node)


def _written(value: object) -> Iterator[str]:
    if isinstance(value, bytes):
        yield value.decode("utf-8", "replace")
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield str(value)
