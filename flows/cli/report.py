"""`grindstone report`: what a run came to, again and in other formats."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grindstone.errors import InputError
from grindstone.flows.cli.home import WorkDir, host_path
from grindstone.flows.cli.output import JsonFlag, emit, say
from grindstone.ledger import Ledger
from grindstone.text import count

if TYPE_CHECKING:
    from grindstone.report import RunReport


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report")(report)


def report(
    run_key: Annotated[
        str | None, typer.Argument(help="The run, or the start of its key; empty: the latest.")
    ] = None,
    work_dir: WorkDir = Path("evolution_workdir"),
    html: Annotated[
        Path | None,
        host_path(
            help="Write pages here: one with plots (FILE.html), or a folder with the viewer of "
            "this run, which needs no server."
        ),
    ] = None,
    words: Annotated[
        bool,
        typer.Option(help="Put the verifier's own words, which may quote tests, into the folder."),
    ] = False,
    export: Annotated[Path | None, host_path(help="Write the run's data into this folder.")] = None,
    formats: Annotated[
        list[str],
        typer.Option("--format", help="json, csv, parquet, markdown, html, atif, inspect."),
    ] = [],  # noqa: B006 - Typer reads it and never writes
    as_json: JsonFlag = False,
) -> None:
    """Print a run's report, or write it as a page or as data."""
    from grindstone.report import build_report, render_markdown
    from grindstone.report.run_list import find_run

    _check_targets(html, export, formats)
    if words and (html is None or html.suffix == ".html"):
        raise InputError("--words", "is for a folder, which is not given", "--html FOLDER too")
    ledger = Ledger(work_dir.absolute())
    key = find_run(ledger, run_key) if run_key else latest_run(ledger)
    built = build_report(ledger, key)
    if html is not None:
        say(f"Wrote {_write_pages(ledger, built, html, words=words)}")
    if export is not None:
        _export(ledger, key, export, formats)
    emit(built, as_json=as_json, page=render_markdown(built))


def _write_pages(ledger: Ledger, report: "RunReport", html: Path, *, words: bool) -> Path:
    from grindstone.files import write_atomic
    from grindstone.report import render_html
    from grindstone.settings import FeedbackLevel
    from grindstone.view.folder import write_folder

    if html.suffix == ".html":
        write_atomic(html, render_html(report))
        return html
    level = FeedbackLevel.FULL if words else FeedbackLevel.TESTS
    index = write_folder(ledger.home, (report.run_key,), html, level=level)
    write_atomic(html / "report.html", render_html(report))
    return index


def _check_targets(html: Path | None, export: Path | None, formats: list[str]) -> None:
    """Make sure that what is to be written has a place and a format."""
    from grindstone.report import ExportFormat

    known = [member.value for member in ExportFormat]
    wrong = [
        InputError("--format", f"unknown format {name!r}", f"one of {', '.join(known)}")
        for name in formats
        if name not in known
    ]
    if formats and export is None:
        wrong.append(InputError("--format", "is for --export, which is not given", "--export too"))
    if html is not None and not html.absolute().parent.is_dir():
        problem = f"there is no folder {html.absolute().parent}"
        wrong.append(InputError("--html", problem, "a file in a folder that is there"))
    if wrong:
        raise InputError.together(wrong)


def _export(ledger: Ledger, run_key: str, folder: Path, formats: list[str]) -> None:
    from grindstone.report import ExportFormat, export_run
    from grindstone.report.exports import USUAL_FORMATS

    chosen = [ExportFormat(name) for name in formats] or list(USUAL_FORMATS)
    written = export_run(ledger, run_key, folder, chosen)
    say(f"Wrote {count(len(written), 'file')} below {folder}")


def latest_run(ledger: Ledger) -> str:
    """Return the key of the run that has attempts and was started last; else of any run.

    Raises:
        InputError: There is none.
    """
    from grindstone.ledger.tables.runs import RunRow

    rows = ledger.rows(RunRow)
    if not rows:
        raise InputError(
            "--work-dir",
            "this home has no run yet",
            "a home with a run; `grindstone grind` makes one",
        )
    attempted = set(ledger.runs("episodes"))
    return max(rows, key=lambda row: (row.run_key in attempted, row.at)).run_key
