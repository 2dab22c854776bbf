"""A run's progress: live on a terminal, one line per verdict in a pipe."""

import contextlib
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn
from rich.progress import Progress as Bar

from grindstone.tasks.progress import Progress, Watcher

MARKS = {"passed": "[green]✓[/]", "failed": "[red]✗[/]", "error": "[yellow]⚠[/]"}


@contextlib.contextmanager
def watcher(stream: TextIO) -> Iterator[Watcher]:
    """Yield something to tell progress to."""
    console = Console(file=stream, highlight=False)
    if not console.is_terminal:
        yield lambda event: _line(console, event)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("[progress.description]{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        whole = bar.add_task("starting", total=None)

        def watch(event: Progress) -> None:
            _line(bar.console, event)
            if event.total:
                bar.update(whole, total=event.total, completed=event.done)
            if event.what in {"attempt", "evolve"}:
                doing = "solving" if event.what == "attempt" else "evolving"
                bar.update(whole, description=f"{doing} {event.subject}")

        yield watch


def _line(console: Console, event: Progress) -> None:
    if event.what == "note":
        console.print(event.detail, markup=False)
    elif event.what == "scored":
        mark = MARKS.get(event.detail.split()[0], "·")
        when = f"  cycle {event.cycle}" if event.cycle else ""
        console.print(f"{mark} {escape(f'{event.subject}{when}  {event.detail}')}")
    elif event.what == "evolved":
        console.print(f"  ↳ {event.subject}: {event.detail}", markup=False)
