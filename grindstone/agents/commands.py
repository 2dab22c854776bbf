"""Shell text as simple commands that can be compared.

`cd /app && python3 x.py | tee log` is three commands. White space, comments, prompts,
`sudo` and quoting do not count; a here-document belongs to its command, word for word.
"""

import re
import shlex
from collections.abc import Iterator

Words = tuple[str, ...]

_HEREDOC = re.compile(r"<<-?\s*(['\"]?)([A-Za-z_]\w*)\1")
_PROMPT = re.compile(r"^\s*(?:\$|#(?=\s*\S+@)|[\w.-]+@[\w.-]+:\S*[$#])\s+")
_SEPARATORS = frozenset({"&&", "||", ";", ";;", "|", "|&", "&", "(", ")"})
_NOISE = frozenset({"sudo", "then", "do", "else", "{", "}", "!", "time"})
_KEYWORDS = frozenset({"done", "fi", "esac", "for", "while", "until", "if", "case", "function"})
_FENCE = re.compile(
    r"^(?P<mark>```+|~~~+)[ \t]*(?P<lang>[\w+-]*)[^\n]*\n(?P<code>.*?)^(?P=mark)[ \t]*$",
    re.DOTALL | re.MULTILINE,
)
_SHELLS = frozenset({"bash", "sh", "shell", "zsh", "console", "shell-session", "terminal"})
_PLACEHOLDER = re.compile(r"<[^<>]+>|\{[^{}]*\}|\$\{?\w+\}?|\.\.\.|…|path/to/\S*|YOUR_\w+")


def taught_commands(markdown: str) -> tuple[Words, ...]:
    """Return the distinct commands in a text's fenced shell blocks, in order."""
    found: dict[Words, None] = {}
    for fence in _FENCE.finditer(markdown):
        code = fence["code"]
        language = fence["lang"].lower()
        if language and language not in _SHELLS:
            continue
        # Beside prompts there is output; without a language only prompts tell commands.
        prompted = [line for line in code.splitlines() if _PROMPT.match(line)]
        if prompted or not language:
            code = "\n".join(prompted)
        found.update(dict.fromkeys(simple_commands(code)))
    return tuple(found)


def simple_commands(script: str) -> Iterator[Words]:
    """Yield a script's simple commands as words."""
    for line, body in _logical_lines(script):
        for words in _split(line):
            yield (*words, body) if body and words else words


def matches(taught: Words, run: Words) -> bool:
    """Whether a run command is the taught one, placeholders filled in, arguments added."""
    if len(run) < len(taught):
        return False
    return all(_word_matches(t, r) for t, r in zip(taught, run, strict=False))


def _word_matches(taught: str, run: str) -> bool:
    if taught == run:
        return True
    parts = _PLACEHOLDER.split(taught)
    if len(parts) == 1:
        return False
    return re.fullmatch(".+".join(map(re.escape, parts)), run, re.DOTALL) is not None


def _logical_lines(script: str) -> Iterator[tuple[str, str]]:
    """Yield each line, continuations joined, with the here-document that follows it."""
    lines = iter(script.replace("\r\n", "\n").replace("\\\n", " ").split("\n"))
    for line in lines:
        text = _PROMPT.sub("", line).strip()
        if not text or text.startswith("#"):
            continue
        heredoc = _HEREDOC.search(text)
        if heredoc is None:
            yield text, ""
            continue
        body: list[str] = []
        for inner in lines:
            if inner.strip() == heredoc[2]:
                break
            body.append(inner.strip())
        yield _HEREDOC.sub("<<", text), "\n".join(filter(None, body))


def _split(line: str) -> Iterator[Words]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|()")
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:  # a quote left open: a string over several lines, say
        words = line.split()
    command: list[str] = []
    for word in [*words, ";"]:
        if word in _SEPARATORS:
            if command and command[0] not in _KEYWORDS:
                yield tuple(command)
            command = []
        elif command or word not in _NOISE:
            command.append(word)
