"""The syntax tree of a shell script, read even where it is broken."""

import re
import time
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node, Parser, Tree

MAX_PIPES = 2_000
"""Bars of a script that is parsed; in a broken one each costs as much as all before it."""
PARSE_S = 1.0
"""Seconds of this process's work that parsing a script may take."""
_PART = 65_536


@cache
def _parser() -> "Parser":
    """Return the parser of shell scripts."""
    import tree_sitter
    import tree_sitter_bash

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))


def parsed(source: bytes) -> "Tree | None":
    """Return a script's syntax tree; None where that would take too long, or too much memory.

    What is wrong in a script can cost the square of its length: of 40,000 characters, gigabytes.
    """
    if source.count(b"|") > MAX_PIPES:
        return None
    begun, reads = time.process_time(), _parser()

    def over(_offset: int, _has_error: bool) -> bool:
        return time.process_time() - begun > PARSE_S

    try:
        return reads.parse(lambda at, _: source[at : at + _PART], progress_callback=over)
    except ValueError:  # it was stopped
        reads.reset()
        return None


def substituted(node: "Node") -> Iterator["Node"]:
    """Yield what runs inside a word, the outermost only."""
    if node.type in {"command_substitution", "process_substitution"}:
        yield from node.named_children
        return
    for child in node.named_children:
        yield from substituted(child)


def descend(node: "Node", kind: str) -> Iterator["Node"]:
    """Yield a node and those below it that are of a kind."""
    if node.type == kind:
        yield node
    for child in node.named_children:
        yield from descend(child, kind)


def text_bytes(node: "Node") -> bytes:
    """Return what is written at a node."""
    return node.text or b""


def text_of(node: "Node") -> str:
    """Return what is written at a node, as text."""
    return text_bytes(node).decode("utf-8", "replace")


def revealed(node: "Node", variables: Mapping[str, str]) -> list[str]:
    """Return the variables whose value a word shows; ${X:+set} shows none.

    Args:
        node: The word.
        variables: What is known of variables: ${!X} shows the one that X names.
    """
    found = []
    for each in (*descend(node, "simple_expansion"), *descend(node, "expansion")):
        name = next(descend(each, "variable_name"), None)
        text = text_of(each)
        if name is None or re.match(r"\$\{(#|\w+:?\+)", text):
            continue
        found.append(text_of(name))
        if text.startswith("${!"):
            found.append(variables.get(text_of(name), ""))
    return found
