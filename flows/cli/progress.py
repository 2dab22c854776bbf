"""A run's progress: live on a terminal, one line per verdict in a pipe."""

import contextlib
import time
from collections.abc import Iterator
from datetime import datetime
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.text import Text

from grindstone.flows.cli.output import drop_output
from grindstone.records import Outcome
from grindstone.runs.progress import (
    Advanced,
    AttemptBegan,
    AttemptEnded,
    LearningBegan,
    Progress,
    RunBegan,
    Watcher,
    sentence,
)

COUNT_S = 60.0
"""Least time between two lines in a pipe that only say how much is done."""
COLOURS = {Outcome.PASSED: "green", Outcome.FAILED: "red", Outcome.ERROR: "yellow"}


class _Told(Console):
    """What is told; where nobody reads any more it falls silent, and the run goes on."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        with contextlib.suppress(OSError, ValueError):  # no file of the system's
            drop_output(self.file.fileno())


@contextlib.contextmanager
def watcher(stream: TextIO) -> Iterator[Watcher]:
    """Yield something to tell progress to."""
    console = _Told(file=stream, highlight=False)
    if not console.is_terminal:
        yield _in_lines(console)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("[progress.description]{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        whole = bar.add_task("starting", total=None)

        def watch(event: Progress) -> None:
            if not isinstance(event, Advanced):
                _line(bar.console, event)
            match event:
                case RunBegan(tasks=total) if total:
                    bar.update(whole, total=total, completed=0)
                case Advanced(done, total) if total:
                    bar.update(whole, total=total, completed=done)
                case AttemptBegan(task_id):
                    bar.update(whole, description=f"solving {task_id}")
                case LearningBegan(detail):
                    bar.update(whole, description=f"evolving {detail}")

        yield watch


def _in_lines(console: Console) -> Watcher:
    """Return a watcher for a pipe or a file: whole lines with their times, in the local zone."""
    counted_at = time.monotonic()

    def watch(event: Progress) -> None:
        nonlocal counted_at
        if isinstance(event, Advanced):
            if time.monotonic() - counted_at < COUNT_S:
                return
            counted_at = time.monotonic()
        _line(console, event, at=f"{datetime.now():%H:%M:%S} ")

    return watch


def _line(console: Console, event: Progress, *, at: str = "") -> None:
    if not (told := sentence(event)):
        return
    line = Text(f"{at}{told}")
    if isinstance(event, AttemptEnded):
        line.stylize(COLOURS[event.outcome], len(at), len(at) + 1)
    console.print(line, soft_wrap=not console.is_terminal)
