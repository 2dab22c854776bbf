"""What a shell script does, read from its syntax tree rather than from its spelling.

A script is parsed with tree-sitter, which also reads what is broken or half written. Each
simple command is returned with its words, what it writes to, what feeds it and what runs
inside it; `sudo`, `env X=1`, `timeout 5` and the like are taken off, and `bash -c "…"`,
`eval …` and a document fed to a shell are opened. Nothing is ever executed. A variable set
earlier in the same script is filled in; any other stays as it is written.
"""

import posixpath
import shlex
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

MAX_SCRIPT_BYTES = 200_000
MAX_NESTING = 6
MAX_ROUNDS = 20
"""Values of a loop that are looked at."""

SHELLS = frozenset({"sh", "bash", "zsh", "dash", "ksh", "ash"})
INTERPRETERS = SHELLS | {"python", "python2", "python3", "perl", "ruby", "node", "php"}
_WRAPPERS = {"sudo", "doas", "nohup", "nice", "ionice", "time", "timeout", "env", "exec"} | {
    "command", "builtin", "stdbuf", "setsid", "xargs", "busybox", "chroot", "unbuffer",
}  # fmt: skip
_VALUED = {"-u", "-g", "-n", "-k", "-s", "-I", "-P", "-L", "-d", "-i", "-o", "-e"}
_STATEMENTS = {"command", "redirected_statement"}


class Command(NamedTuple):
    """One simple command."""

    words: tuple[str, ...]
    writes: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    document: str = ""  # what a here-document gives it
    fed_by: tuple[str, ...] = ()  # programs before it in its pipeline
    runs: tuple[str, ...] = ()  # programs substituted into its words: $(…), <(…)
    reveals: tuple[str, ...] = ()  # variables expanded in its words
    folder: str = ""  # where it runs, as far as `cd` says

    @property
    def program(self) -> str:
        """Its name without the folder."""
        return posixpath.basename(self.words[0]) if self.words else ""

    @property
    def arguments(self) -> tuple[str, ...]:
        """Its words after the name."""
        return self.words[1:]

    @property
    def operands(self) -> tuple[str, ...]:
        """Its words that are no options."""
        return tuple(word for word in self.arguments if not word.startswith("-"))

    def has(self, letter: str, *names: str) -> bool:
        """Whether an option is given, as a letter among others or by a long name."""
        return any(
            word in names
            or (word.startswith("-") and not word.startswith("--") and letter in word[1:])
            for word in self.arguments
        )

    @property
    def code(self) -> str:
        """Code given to an interpreter on its command line or in a document."""
        if interpreter(self.program) not in INTERPRETERS:
            return ""
        for option in ("-c", "-e", "-r", "--eval"):
            if option in self.arguments[:-1]:
                return self.arguments[self.arguments.index(option) + 1]
        if interpreter(self.program) in SHELLS:
            for at, word in enumerate(self.arguments[:-1]):
                if word.startswith("-") and not word.startswith("--") and word.endswith("c"):
                    return self.arguments[at + 1]
        return self.document

    def path(self, name: str) -> str:
        """Return a path as it is seen from the folder the command runs in."""
        if name.startswith(("/", "~", "$")) or not self.folder:
            return posixpath.normpath(name) if name.startswith("/") else name
        return posixpath.normpath(posixpath.join(self.folder, name))


class Script(NamedTuple):
    """The commands of a script, in order."""

    commands: tuple[Command, ...]
    whole: bool  # False: parts of it could not be parsed


def interpreter(program: str) -> str:
    """Return a program's name without its version: python3.11 is python3."""
    return program.partition(".")[0] if program.startswith(("python", "ruby", "perl")) else program


@lru_cache(maxsize=256)
def read_script(text: str) -> Script:
    """Parse a script; what is longer than can be read counts as not whole."""
    source = text.encode("utf-8", "replace")
    if len(source) > MAX_SCRIPT_BYTES:
        return Script((), whole=False)
    reader = _Reader()
    whole = reader.read(source, 0)
    return Script(tuple(reader.found), whole=whole)


@cache
def _parser() -> "Parser":
    import tree_sitter
    import tree_sitter_bash

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))


class _Reader:
    def __init__(self) -> None:
        self.found: list[Command] = []
        self._variables: dict[str, str] = {"HOME": "~"}
        self._folder = ""

    def read(self, source: bytes, depth: int) -> bool:
        root = _parser().parse(source).root_node
        self._visit(root, depth, ())
        return not root.has_error

    def _visit(self, node: "Node", depth: int, fed_by: tuple[str, ...]) -> tuple[str, ...]:
        """Read a node and return the programs that are its last ones, for a pipeline."""
        if node.type == "variable_assignment":
            self._assign(node, depth)
            return ()
        if node.type in _STATEMENTS:
            return self._command(node, depth, fed_by)
        if node.type == "pipeline":
            fed: tuple[str, ...] = fed_by
            for child in node.named_children:
                fed = (*fed, *self._visit(child, depth, fed))
            return fed[len(fed_by) :]
        if node.type == "for_statement":
            return self._loop(node, depth, fed_by)
        last: tuple[str, ...] = ()
        for child in node.named_children:
            last = (*last, *self._visit(child, depth, fed_by))
        return last

    def _loop(self, node: "Node", depth: int, fed_by: tuple[str, ...]) -> tuple[str, ...]:
        """Read a loop's body once for each of its first values."""
        name, body = node.child_by_field_name("variable"), node.child_by_field_name("body")
        last: tuple[str, ...] = ()
        for value in node.children_by_field_name("value")[:MAX_ROUNDS]:
            if name is not None and body is not None:
                self._variables[_text(name)] = self._word(value)
                last = self._visit(body, depth, fed_by)
        return last

    def _assign(self, node: "Node", depth: int) -> None:
        name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        if name is not None:
            given = self._word(value) if value is not None else ""
            self._variables[_text(name)] = given
        for inner in _substituted(node):
            self._visit(inner, depth, ())

    def _command(  # noqa: PLR0912 - one branch for each part of the grammar
        self, node: "Node", depth: int, fed_by: tuple[str, ...]
    ) -> tuple[str, ...]:
        body, document = node, ""
        writes: list[str] = []
        reads: list[str] = []
        if node.type == "redirected_statement":
            for part in node.children_by_field_name("redirect"):
                document = document or _document(part)
                for redirect in _redirects(part):
                    target = redirect.child_by_field_name("destination")
                    if target is not None:
                        sign = _text(redirect)
                        (reads if sign.lstrip("012").startswith("<") else writes).append(
                            self._word(target)
                        )
            inner = node.child_by_field_name("body")
            if inner is None:
                self.found.append(self._plain((), writes, reads, document))
                return ()
            if inner.type != "command":
                start = len(self.found)
                last = self._visit(inner, depth, fed_by)
                for at in range(start, len(self.found))[-1:]:
                    self.found[at] = self.found[at]._replace(
                        writes=(*self.found[at].writes, *writes),
                        reads=(*self.found[at].reads, *reads),
                        document=self.found[at].document or document,
                    )
                    self._open(self.found[at], depth)
                return last
            body = inner
        words, runs, reveals = [], [], []
        for child in body.named_children:
            if child.type == "variable_assignment":
                continue
            if child.type in {"file_redirect", "heredoc_redirect", "herestring_redirect"}:
                document = document or _document(child)
                for redirect in _redirects(child):
                    target = redirect.child_by_field_name("destination")
                    if target is not None:
                        writes.append(self._word(target))
                continue
            words.append(self._word(child))
            reveals += [_text(each) for each in _descend(child, "variable_name")]
            for inner in _substituted(child):
                start = len(self.found)
                self._visit(inner, depth, ())
                runs += [each.program for each in self.found[start:]]
        command = Command(
            words=unwrapped(tuple(words)),
            writes=tuple(writes),
            reads=tuple(reads),
            document=document,
            fed_by=fed_by,
            runs=tuple(runs),
            reveals=tuple(reveals),
            folder=self._folder,
        )
        self.found.append(command)
        if command.program == "cd" and command.operands:
            self._folder = command.path(command.operands[0])
        self._open(command, depth)
        return (command.program,)

    def _plain(
        self, words: tuple[str, ...], writes: list[str], reads: list[str], document: str
    ) -> Command:
        return Command(
            words=words,
            writes=tuple(writes),
            reads=tuple(reads),
            document=document,
            folder=self._folder,
        )

    def _open(self, command: Command, depth: int) -> None:
        """Read the script that a command hands to a shell."""
        if depth >= MAX_NESTING:
            return
        if interpreter(command.program) in SHELLS and command.code:
            self.read(command.code.encode(), depth + 1)
        elif command.program == "eval":
            self.read(" ".join(command.arguments).encode(), depth + 1)
        elif command.program == "ssh" and len(command.operands) > 1:
            self.read(" ".join(command.operands[1:]).encode(), depth + 1)
        elif command.program == "find" and "-exec" in command.arguments:
            run = command.arguments[command.arguments.index("-exec") + 1 :]
            self.read(shlex.join(run[: run.index(";")] if ";" in run else run).encode(), depth + 1)

    def _word(self, node: "Node") -> str:
        """Return a word as the shell would see it, as far as that is known."""
        kind = node.type
        if kind == "raw_string":
            return _text(node)[1:-1]
        if kind in {"simple_expansion", "expansion"}:
            name = next(_descend(node, "variable_name"), None)
            return (
                self._variables.get(_text(name), _text(node)) if name is not None else _text(node)
            )
        if kind == "command_name" and node.named_children:
            return self._word(node.named_children[0])
        if kind in {"string", "concatenation"} and node.named_children:
            source, start = _text_bytes(node), node.start_byte
            found, at = [], 0
            for child in node.named_children:
                found.append(source[at : child.start_byte - start].decode("utf-8", "replace"))
                found.append(self._word(child))
                at = child.end_byte - start
            found.append(source[at:].decode("utf-8", "replace"))
            text = "".join(found)
            return text[1:-1].replace('\\"', '"') if kind == "string" else text
        text = _text(node)
        if kind == "string":
            return text[1:-1]
        return text.replace("\\", "") if kind == "word" else text


def unwrapped(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return a command without what only says how it is run."""
    while words and posixpath.basename(words[0]) in _WRAPPERS and len(words) > 1:
        wrapper, rest = posixpath.basename(words[0]), list(words[1:])
        while rest and (rest[0].startswith("-") or (wrapper == "env" and "=" in rest[0])):
            option = rest.pop(0)
            if option in _VALUED and rest:
                rest.pop(0)
        if wrapper in {"timeout", "chroot"} and rest:
            rest.pop(0)
        if not rest:
            return words
        words = tuple(rest)
    return words


def _document(redirect: "Node") -> str:
    bodies = [*_descend(redirect, "heredoc_body")]
    if bodies:
        return _text(bodies[0])
    if redirect.type == "herestring_redirect" and redirect.named_children:
        return _text(redirect.named_children[-1]).strip("'\"")
    return ""


def _redirects(node: "Node") -> Iterator["Node"]:
    return _descend(node, "file_redirect")


def _substituted(node: "Node") -> Iterator["Node"]:
    """Yield what runs inside a word, the outermost only."""
    if node.type in {"command_substitution", "process_substitution"}:
        yield from node.named_children
        return
    for child in node.named_children:
        yield from _substituted(child)


def _descend(node: "Node", kind: str) -> Iterator["Node"]:
    if node.type == kind:
        yield node
    for child in node.named_children:
        yield from _descend(child, kind)


def _text_bytes(node: "Node") -> bytes:
    return node.text or b""


def _text(node: "Node") -> str:
    return _text_bytes(node).decode("utf-8", "replace")
