"""A run's progress: live on a terminal, one line per verdict in a pipe."""

import contextlib
from collections.abc import Iterator
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
        yield lambda event: _line(console, event)
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


def _line(console: Console, event: Progress) -> None:
    if isinstance(event, Advanced) or not (told := sentence(event)):
        return
    line = Text(told)
    if isinstance(event, AttemptEnded):
        line.stylize(COLOURS[event.outcome], 0, 1)
    console.print(line, soft_wrap=not console.is_terminal)
