"""One JSON document on standard output, or text for people; all else to standard error."""

import json
import os
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer
from pydantic import BaseModel

from grindstone.text import obeyed_by_none

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grindstone.report.model import RunReport
    from grindstone.tasks.lifecycle import Finished

JsonFlag = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on standard output.")
]
_ANCHOR_OR_PICTURE = re.compile(r'<a id="[^"]*"></a>|^!\[[^]]*\]\([^)]*\)$', re.MULTILINE)
_BEYOND_ASCII = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What terminals obey or turn round by, and JSON leaves as it is."""

Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show what happens inside.")]


def say(text: str) -> None:
    """Tell the person something; never part of a program's result."""
    sys.stderr.write(obeyed_by_none(text).rstrip("\n") + "\n")
    sys.stderr.flush()


OUTPUT = "output"
"""What standard output is called in an error."""


def emit(document: BaseModel | Any, *, as_json: bool, text: str = "", page: str = "") -> None:
    """Print the result: the document as JSON, or its text, and a page of Markdown after it."""
    try:
        _write(document, as_json=as_json, text=text, page=page)
    except OSError as error:
        if error.filename is None:
            error.filename = OUTPUT
        raise


def _write(document: BaseModel | Any, *, as_json: bool, text: str, page: str) -> None:
    if as_json:
        plain = document.model_dump(mode="json") if isinstance(document, BaseModel) else document
        unicode = sys.stdout.encoding.lower().startswith("utf")
        written = json.dumps(plain, indent=2, ensure_ascii=not unicode)
        sys.stdout.write(_BEYOND_ASCII.sub(lambda each: f"\\u{ord(each[0]):04x}", written) + "\n")
    else:
        parts = (obeyed_by_none(text).rstrip("\n"), _on_terminal(page).rstrip("\n"))
        sys.stdout.write("\n\n".join(filter(None, parts)) + "\n")
    sys.stdout.flush()


def is_of_output(error: OSError) -> bool:
    """Return whether an error says that standard output cannot be written to."""
    if error.filename is not None:
        return bool(error.filename == OUTPUT)
    try:
        sys.stdout.flush()  # what Typer prints by itself
    except (OSError, ValueError):
        return True
    return False


def drop_output(descriptor: int = 1) -> None:
    """Let nothing more be written to standard output, or another file, not even at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def _on_terminal(page: str) -> str:
    """Return Markdown as a terminal shows it; in a pipe it stays Markdown."""
    markdown = obeyed_by_none(page)
    if not markdown or not sys.stdout.isatty():
        return markdown
    from io import StringIO
    from shutil import get_terminal_size

    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.markdown import Markdown, TableElement
    from rich.table import Table

    class Folded(TableElement):
        """A table that breaks a name where it is too narrow; Rich's cuts it off."""

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            for drawn in super().__rich_console__(console, options):
                for column in drawn.columns if isinstance(drawn, Table) else ():
                    column.overflow = "fold"
                yield drawn

    class Page(Markdown):
        elements: ClassVar = Markdown.elements | {"table_open": Folded}

    out = StringIO()
    console = Console(file=out, width=get_terminal_size().columns, force_terminal=True)
    console.print(Page(_ANCHOR_OR_PICTURE.sub("", markdown)))
    return out.getvalue()


def tell_run(
    finished: "Finished",
    *,
    as_json: bool,
    allow_broken: bool,
    document: Any = None,
    more: str = "",
) -> None:
    """Print a run's report, say where it lies, and end the command by how the run ended.

    Args:
        finished: The run.
        as_json: Print a document instead of the page.
        allow_broken: Whether tasks that were left out are accepted.
        document: Printed instead of the report's own.
        more: What the page ends with.
    """
    page = finished.folder / "report.md"
    printed = finished.report if document is None else document
    emit(printed, as_json=as_json, page=page.read_text("utf-8") + more)
    say(f"Report: {os.path.relpath(page)}")
    say(f"Next: {next_command(finished)}")
    finish_run(finished.report, allow_broken=allow_broken)


def next_command(finished: "Finished") -> str:
    """Return the command that shows most of how a run went: why attempts failed, if any did."""
    from grindstone.home import Home
    from grindstone.records import Outcome

    report, home = finished.report, Home.at(finished.folder.parents[1])
    usual = home.place == str(Path("evolution_workdir").absolute())
    there = [] if usual else ["--work-dir", home.place]
    tried = [each.outcome for line in report.tasks for each in line.attempts]
    if Outcome.FAILED in tried:
        words = ["episodes", "--failed", "--run-key", report.run_key]
    else:
        words = ["view", report.run_key]
    return shlex.join(["grindstone", *words, *there])


def finish_run(report: "RunReport", *, ok: bool = True, allow_broken: bool = False) -> None:
    """End a run's command: 3 where steps were lost to internal errors, then as `finish`.

    It is 3, too, where infrastructure kept every attempt from a score: nothing was found out.

    Args:
        report: The run's.
        ok: Whether the answer is yes, as far as the command knows.
        allow_broken: Whether tasks that were left out are accepted.
    """
    complete = report.status == "completed" and (allow_broken or not report.left_out)
    spoiled = report.errors if len(report.errors) == report.n_attempts else ()
    finish(ok and complete, lost=report.incidents or (complete and spoiled) or ())


def finish(ok: bool, *, lost: "Sequence[object]" = ()) -> None:
    """End the command: 3 where something was lost to internal errors, 0 for yes, 1 for no."""
    if lost:
        raise typer.Exit(3)
    if not ok:
        raise typer.Exit(1)
