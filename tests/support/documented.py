"""Commands one after another in this process, as a page of the documentation has them.

A process of its own imports everything anew, which takes longer than what most commands do.
"""

import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from grindstone.flows.cli import run_command

BLOCK = re.compile(r"^```(sh|console|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_EXPORT = re.compile(r"^export (\w+)=(.*)$", re.MULTILINE)


class Said(NamedTuple):
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as the one JSON document it must be."""
        return json.loads(self.out)


class Session:
    """A folder in which commands are run one after another, in this process."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.environment = {"COLUMNS": "200", "NO_COLOR": "1"} | environment
        self.last = Said(0, "", "")

    def command(self, line: str, *more: str) -> Said:
        """Run a line of a shell that begins, behind variables, with `grindstone`."""
        words = shlex.split(line, comments=True)
        given = words[: words.index("grindstone")]
        variables = dict(word.split("=", 1) for word in given)
        return self.run(*words[len(given) + 1 :], *more, **variables)

    def run(self, *words: str, **variables: str) -> Said:
        """Run a `grindstone` command as `main` does."""
        environment = self.environment | variables
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
        with (
            contextlib.chdir(self.folder),
            patch.dict(os.environ, environment),
            patch.object(sys, "argv", ["grindstone", *words]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = run_command()
            texts = []
            for stream in (out, err):
                stream.seek(0)
                texts.append(stream.read())
        self.last = Said(code, *texts)
        return self.last

    def shell(self, script: str) -> None:
        """Run a block of shell; what it exports, later commands find."""
        subprocess.run(["bash", "-euc", script], cwd=self.folder, check=True)
        for name, value in _EXPORT.findall(script):
            self.environment[name] = shlex.split(value)[0]

    def page(self, text: str, *, but: tuple[str, ...] = ()) -> Iterator[str]:
        """Run a page in its order, and yield each command that ended well.

        Args:
            text: The page.
            but: Beginnings of commands that serve until they are ended: left out.
        """
        for kind, body in BLOCK.findall(text):
            if kind == "sh":
                self.shell(body)
            elif kind == "console":
                told = ""
                for line in re.findall(r"^\$ (.+)$", body, re.MULTILINE):
                    if line.startswith(but):
                        continue
                    said = self.command(line)
                    assert said.code == 0, (line, said.out, said.err)
                    told += said.out + said.err
                    yield line
            else:
                for line in body.splitlines():
                    assert line in told, (line, told)
