"""A run's progress: live on a terminal, one line per verdict in a pipe."""

import contextlib
import time
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.table import Column
from rich.text import Text

from grindstone.flows.cli.output import drop_output
from grindstone.records import Outcome, utc_now
from grindstone.runs.progress import (
    Advanced,
    AttemptEnded,
    Progress,
    RunBegan,
    Spent,
    TurnEnded,
    Watcher,
    sentence,
)
from grindstone.runs.standing import AtWork
from grindstone.text import obeyed_by_none

COUNT_S = 60.0
"""Least time between two lines in a pipe that only say how far the run is."""
ROOM_FOR_ETA, ROOM_FOR_BAR = 70, 100
"""Columns a terminal has at least where these are shown."""
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
    at_work = AtWork()
    with Bar(*_columns(console.width), console=console, transient=True, expand=True) as bar:
        whole = bar.add_task(at_work.told(), total=None, spent="")

        def watch(event: Progress) -> None:
            if not isinstance(event, Advanced):
                _line(bar.console, event)
            at_work.note(event)
            bar.update(whole, description=obeyed_by_none(at_work.told()))
            match event:
                case RunBegan(tasks=total) if total:
                    bar.update(whole, total=total, completed=0)
                case Advanced(done, total) if total:
                    bar.update(whole, total=total, completed=done)
                case Spent(spend):
                    bar.update(whole, spent=spend.told)

        yield watch


class _Eta(TimeRemainingColumn):
    """How long it still takes, by its name; nothing before there is a number of parts."""

    def render(self, task: Task) -> Text:
        left = super().render(task)
        return Text.assemble("ETA ", left) if left else left


class _Together(ProgressColumn):
    """Several columns as one, without those that say nothing: Rich's table miscounts empty ones."""

    def __init__(self, *columns: ProgressColumn) -> None:
        super().__init__(table_column=Column(no_wrap=True))
        self._columns = columns

    def render(self, task: Task) -> Text:
        drawn = [column.render(task) for column in self._columns]
        return Text(" ").join(each for each in drawn if isinstance(each, Text) and each)


def _columns(width: int) -> list[ProgressColumn]:
    """Return what a line of so many columns has room for; what is done is cut off, if need be."""
    flexible = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    bar = [BarColumn(bar_width=24)] if width >= ROOM_FOR_BAR else []
    eta = [_Eta()] if width >= ROOM_FOR_ETA else []
    spent = TextColumn("{task.fields[spent]}", markup=False)
    return [
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False, table_column=flexible),
        *bar,
        _Together(MofNCompleteColumn(), TimeElapsedColumn(), *eta, spent),
    ]


def _in_lines(console: Console) -> Watcher:
    """Return a watcher for a pipe or a file: whole lines with their times, in UTC.

    Once a minute one of them says how far the run is.
    """
    said_at = time.monotonic()
    at_work = AtWork()
    done = spent = ""

    def watch(event: Progress) -> None:
        nonlocal said_at, done, spent
        at_work.note(event)
        match event:
            case Advanced():
                done = sentence(event)
            case Spent(spend):
                spent = spend.told
        now = f"{utc_now():%H:%M:%SZ} "
        if not isinstance(event, (Advanced, Spent, TurnEnded)):
            _line(console, event, at=now)
        elif time.monotonic() - said_at >= COUNT_S:
            said_at = time.monotonic()
            told = " · ".join(filter(None, (done, at_work.told(), spent)))
            console.print(Text(now + obeyed_by_none(told)), soft_wrap=True)

    return watch


def _line(console: Console, event: Progress, *, at: str = "") -> None:
    if not (told := obeyed_by_none(sentence(event))):
        return
    line = Text(f"{at}{told}")
    if isinstance(event, AttemptEnded):
        line.stylize(COLOURS[event.outcome], len(at), len(at) + 1)
    console.print(line, soft_wrap=not console.is_terminal)
