"""What a shell script does, read from its syntax tree rather than from its spelling.

A script is parsed with tree-sitter, which also reads what is broken or half written. Each
simple command is returned with its words, what it writes to, what feeds it and what runs
inside it; `sudo`, `env X=1`, `timeout 5` and the like are taken off, and `bash -c "…"`,
`eval …`, a document or a text fed to a shell and what code of another language hands to one
are opened; so are functions, aliases, and files written before they are run, by this script or
by an earlier action. Nothing is ever executed. A variable set earlier in the same script is
filled in; any other stays as it is written.
"""

import re
import shlex
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from grindstone.graduation.constitution.blank_variables import blank_variables
from grindstone.graduation.constitution.embedded import handed_on, supplied
from grindstone.graduation.constitution.shell_command import (
    SHELLS,
    Command,
    Script,
    WrittenFile,
    interpreter,
)
from grindstone.graduation.constitution.shell_files import MAX_SCRIPT_BYTES, KnownFiles
from grindstone.graduation.constitution.shell_tree import (
    descend,
    parsed,
    revealed,
    substituted,
    text_bytes,
    text_of,
)
from grindstone.graduation.constitution.shell_words import ansi_c, braced, printed, unwrapped

if TYPE_CHECKING:
    from tree_sitter import Node

MAX_NESTING = 6
MAX_VISITS = 50_000
"""Parts of a script that are looked at, those of functions and loops each time."""
MAX_VALUE = 2_000
MAX_ROUNDS = 20
"""Values of a loop that are looked at."""
_STATEMENTS = {"command", "redirected_statement"}
_EXPANSIONS = ("simple_expansion", "expansion", "command_substitution")
_QUOTED = ("string", "raw_string", "ansi_c_string")


@lru_cache(maxsize=64)
def read_scripts(pieces: tuple[str | WrittenFile, ...]) -> tuple[Script, ...]:
    """Parse scripts that ran one after another, each with the files that were written before.

    What is longer than can be read counts as not whole.

    Args:
        pieces: The scripts, and files that were written between them; an empty script for each
            of those is among what is returned.
    """
    files = KnownFiles()
    found = []
    blank = blank_variables(each if isinstance(each, str) else each.content for each in pieces)
    for piece in pieces:
        if isinstance(piece, WrittenFile):
            files.put(piece)
            found.append(Script((), whole=True))
            continue
        source = piece.encode("utf-8", "replace")
        if len(source) > MAX_SCRIPT_BYTES:
            found.append(Script((), whole=False))
            continue
        reader = _Reader(files)
        try:
            whole = reader.read(source, 0)
        except RecursionError:
            whole, reader.unread = False, True
        found.append(Script(tuple(reader.found), whole, reader.unread, blank))
    return tuple(found)


class _Redirects(NamedTuple):
    """What redirections write and read, and the document they give."""

    writes: tuple[str, ...]
    reads: tuple[str, ...]
    document: str

    def beside(self, other: "_Redirects") -> "_Redirects":
        """Return both; of two documents the first is read."""
        document = self.document or other.document
        return _Redirects(self.writes + other.writes, self.reads + other.reads, document)


class _Reader:
    """Reads one script, with the files that are known beside it."""

    def __init__(self, files: KnownFiles, within: int = 0) -> None:
        self.found: list[Command] = []
        self.unread = False
        self._within = within  # substitutions that it is inside of
        self._files = files
        self._visits = 0
        self._variables: dict[str, str] = {"HOME": "~", "IFS": " "}
        self._tainted: dict[str, tuple[str, ...]] = {}  # variable → programs its value came of
        self._functions: dict[str, Node] = {}
        self._aliases: dict[str, str] = {}
        self._folder = ""

    def read(self, source: bytes, depth: int) -> bool:
        tree = parsed(source)
        if tree is None:
            self.unread = True
            return False
        self._visit(tree.root_node, depth, ())
        return not tree.root_node.has_error

    def _visit(  # noqa: PLR0911 - one return for each part of the grammar
        self, node: "Node", depth: int, fed_by: tuple[str, ...], given: str | None = None
    ) -> tuple[str, ...]:
        """Read a node and return the programs that are its last ones, for a pipeline."""
        self._visits += 1
        if depth > MAX_NESTING or self._visits > MAX_VISITS:
            self.unread = True
            return ()
        if node.type == "variable_assignment":
            self._assign(node, depth)
            return ()
        if node.type in _STATEMENTS:
            return self._command(node, depth, fed_by, given)
        if node.type == "pipeline":
            return self._pipeline(node, depth, fed_by, given)
        if node.type == "file_redirect":  # $(< file)
            reads = self._redirected([node]).reads
            self.found.append(Command(words=(), reads=reads, folder=self._folder))
            return ()
        if node.type == "for_statement":
            return self._loop(node, depth, fed_by)
        if node.type == "declaration_command" and not list(descend(node, "variable_assignment")):
            return (text_of(node).split()[0],)
        if node.type == "function_definition":
            name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
            if name is not None and body is not None:
                self._functions[text_of(name)] = body
        last: list[str] = []
        for child in node.named_children:
            last += self._visit(child, depth, fed_by, given)
        return tuple(last[-MAX_ROUNDS:])

    def _pipeline(
        self, node: "Node", depth: int, fed_by: tuple[str, ...], given: str | None
    ) -> tuple[str, ...]:
        fed, text = fed_by, given
        for child in node.named_children:
            start = len(self.found)
            fed = (*fed, *self._visit(child, depth, fed, text))
            made = self.found[start:]
            text = printed(made[0].words, made[0].document or text) if len(made) == 1 else None
        return fed[len(fed_by) :]

    def _loop(self, node: "Node", depth: int, fed_by: tuple[str, ...]) -> tuple[str, ...]:
        """Read a loop's body once for each of its first values."""
        name, body = node.child_by_field_name("variable"), node.child_by_field_name("body")
        last: tuple[str, ...] = ()
        values = [
            word for each in node.children_by_field_name("value") for word in self._words(each)
        ]
        for value in values[:MAX_ROUNDS]:
            if name is not None and body is not None:
                self._variables[text_of(name)] = value
                last = self._visit(body, depth, fed_by)
        return last

    def _assign(self, node: "Node", depth: int) -> None:
        name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        start = len(self.found)
        for inner in substituted(node):
            self._visit(inner, depth + 1, ())
        if name is not None:
            given = self._word(value) if value is not None else ""
            self._variables[text_of(name)] = given[:MAX_VALUE]
            self._tainted[text_of(name)] = tuple(each.program for each in self.found[start:])

    def _command(
        self, node: "Node", depth: int, fed_by: tuple[str, ...], given: str | None
    ) -> tuple[str, ...]:
        redirects = [each for each in node.named_children if each.type.endswith("_redirect")]
        body = node.child_by_field_name("body") if node.type == "redirected_statement" else node
        to = self._redirected(redirects)
        piped = [
            each for part in redirects for each in part.named_children if each.type == "pipeline"
        ]
        if body is not None and body.type != "command":
            start = len(self.found)
            last = self._visit(body, depth, fed_by, to.document or given)
            for at in range(start, len(self.found))[-1:]:
                command = self.found[at]
                self.found[at] = command._replace(
                    writes=command.writes + to.writes,
                    reads=command.reads + to.reads,
                    document=command.document or to.document,
                )
                self._files.keep(self.found[at], given)
                self._open(self.found[at], depth)
            return last
        words: list[str] = []
        parts = [] if body is None else list(body.named_children)
        own = [each for each in parts if each.type.endswith("_redirect")]
        if body is not node:
            to = to.beside(self._redirected(own))
        runs, reveals = [], []
        for child in parts:
            if child.type == "variable_assignment":
                continue
            if child not in own:
                words += self._words(child)
            reveals += revealed(child, self._variables)
        for child in (*parts, *redirects):
            if child.type == "variable_assignment":
                continue
            if child in redirects and body is not node:
                reveals += revealed(child, self._variables)
            for inner in substituted(child):
                start = len(self.found)
                self._visit(inner, depth + 1, ())
                runs += [each.program for each in self.found[start:]]
        bare = unwrapped(tuple(words))
        told = to.document or given or ""
        if "xargs" in bare.through and told:
            bare = bare._replace(words=supplied(bare.words, told, words))
        command = Command(
            words=bare.words,
            writes=to.writes,
            reads=to.reads,
            document=told,
            fed_by=fed_by,
            runs=(*runs, *(each for name in reveals for each in self._tainted.get(name, ()))),
            reveals=tuple(reveals),
            folder=self._folder,
            through=bare.through,
        )
        command = self._files.run_by(command)
        self.found.append(command)
        self._files.keep(command, given)
        self._enter(command, depth)
        self._open(command, depth)
        for each in piped:  # cat <<E | sh
            self._visit(
                each, depth, (*fed_by, command.program), printed(command.words, to.document)
            )
        return (command.program,)

    def _redirected(self, parts: Sequence["Node"]) -> _Redirects:
        writes: list[str] = []
        reads: list[str] = []
        document = ""
        for part in parts:
            document = document or self._document(part)
            for redirect in descend(part, "file_redirect"):
                target = redirect.child_by_field_name("destination")
                if target is not None:
                    sign = text_of(redirect).lstrip("012")
                    (reads if sign.startswith("<") else writes).extend(self._words(target))
        return _Redirects(tuple(writes), tuple(reads), document)

    def _document(self, redirect: "Node") -> str:
        bodies = [*descend(redirect, "heredoc_body")]
        if bodies:
            return text_of(bodies[0])
        if redirect.type == "herestring_redirect" and redirect.named_children:
            return self._word(redirect.named_children[-1])
        return ""

    def _enter(self, command: Command, depth: int) -> None:
        """Follow what changes how later words are read."""
        program, operands = command.program, command.operands
        if program in {"cd", "pushd"} and operands:
            self._folder = command.path(operands[0])
        elif program == "alias":
            for word in operands:
                name, _, meaning = word.partition("=")
                self._aliases[name] = meaning
        elif program == "set" and "--" in command.arguments:
            self._place(command.arguments[command.arguments.index("--") + 1 :])
        elif program == "read" and operands and command.document:
            self._variables[operands[-1]] = command.document.strip()
        elif program in self._aliases and depth < MAX_NESTING:
            script = f"{self._aliases[program]} {shlex.join(command.arguments)}"
            self.read(script.encode(), depth + 1)
        elif program in self._functions and depth < MAX_NESTING:  # its body was read where it is
            self._place(command.arguments)
            self._visit(self._functions[program], depth + 1, command.fed_by)

    def _place(self, words: Iterable[str]) -> None:
        given = list(words)
        self._variables |= {str(at): word for at, word in enumerate(given, 1)}
        self._variables |= {"@": " ".join(given), "*": " ".join(given)}

    def _open(self, command: Command, depth: int) -> None:
        """Read the scripts that a command hands to a shell."""
        for script in handed_on(command):
            if depth >= MAX_NESTING:
                self.unread = True
                return
            self.read(script.encode("utf-8", "replace"), depth + 1)
        if interpreter(command.program) in SHELLS and not command.code and not command.operands:
            self.unread = self.unread or bool(_HIDES & set(command.fed_by))

    def _words(self, node: "Node") -> list[str]:
        """Return the words that a node of a command stands for."""
        inner = (
            node.named_children[0] if node.type == "command_name" and node.named_children else node
        )
        text = self._word(inner)
        if inner.type in {"word", "concatenation"} and "{" in text:
            return [part for each in braced(text) for part in each.split()]
        expands = any(each for kind in _EXPANSIONS for each in descend(inner, kind))
        if expands and not any(each for kind in _QUOTED for each in descend(inner, kind)):
            known = "$(" not in text and "`" not in text
            return text.split() if known else [text]
        return [text]

    def _word(self, node: "Node") -> str:  # noqa: PLR0911 - likewise
        """Return a word as the shell would see it, as far as that is known."""
        kind = node.type
        if kind == "raw_string":
            return text_of(node)[1:-1]
        if kind == "ansi_c_string":
            return ansi_c(text_of(node)[2:-1])
        if kind in {"simple_expansion", "expansion"}:
            return self._expanded(node)
        if kind == "command_substitution":
            return self._substitution(node)
        if kind == "command_name" and node.named_children:
            return self._word(node.named_children[0])
        if kind in {"string", "concatenation"} and node.named_children:
            source, start = text_bytes(node), node.start_byte
            found, at = [], 0
            for child in node.named_children:
                found.append(source[at : child.start_byte - start].decode("utf-8", "replace"))
                found.append(self._word(child))
                at = child.end_byte - start
            found.append(source[at:].decode("utf-8", "replace"))
            text = "".join(found)[:MAX_SCRIPT_BYTES]
            return text[1:-1].replace('\\"', '"') if kind == "string" else text
        text = text_of(node)
        if kind == "string":
            return text[1:-1]
        return text.replace("\\", "") if kind == "word" else text

    def _expanded(self, node: "Node") -> str:
        text = text_of(node)
        names = (*descend(node, "variable_name"), *descend(node, "special_variable_name"))
        if not names:
            return text
        known = self._variables.get(text_of(names[0]))
        fallback = re.match(r"\$\{\w+:?[-=]", text)
        if known is None and fallback and len(node.named_children) > 1:
            return self._word(node.named_children[-1])
        return text if known is None or text.startswith("${!") else known

    def _substitution(self, node: "Node") -> str:
        """Return what $(…) prints where that is known, else its text."""
        if self._within >= MAX_SUBSTITUTED:
            return text_of(node)
        reader = _Reader(self._files.copy(), self._within + 1)
        reader._variables = dict(self._variables)
        inner = text_of(node).removeprefix("$(").removesuffix(")").strip("`")
        if len(inner) > MAX_SUBSTITUTION:
            return text_of(node)
        reader.read(inner.encode(), MAX_NESTING - 1)
        text: str | None = None
        for command in reader.found:
            text = printed(command.words, command.document or text)
        return text_of(node) if text is None else text.rstrip("\n")


_HIDES = frozenset({"openssl", "gpg", "base64", "base32", "xxd", "rev", "tr", "uudecode"})
"""Programs before a shell in a pipeline whose output is not seen."""

MAX_SUBSTITUTION, MAX_SUBSTITUTED = 2_000, 3
"""Characters of a $(…) that is read, and how many within one another."""
