"""The `grindstone` command. Importing it imports neither Prefect nor a model's SDK."""

import contextlib
import io
import os
import signal
import sys
import traceback
from collections.abc import Iterator

from grindstone.collecting import before_exit


def main() -> None:
    """Run the command line and exit: 0 done, 1 the answer is no, 2 input, 3 infrastructure."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an old locale has no ✓
    code = run_command()
    before_exit()
    sys.exit(code)


@contextlib.contextmanager
def _nothing_begun() -> Iterator[None]:
    """Within, Ctrl-C ends the process as it does a program that has no word to say about it."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # ignored, or somebody else's
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def run_command() -> int:
    """Run the command of `sys.argv` and return the exit code, whatever became of it."""
    with _nothing_begun():
        from typer import TyperException

        from grindstone.flows.cli.app import app
        from grindstone.flows.cli.ending import end, ending_of
        from grindstone.flows.cli.output import drop_output, is_of_output
        from grindstone.flows.cli.usage import usage_ending
        from grindstone.text import obeyed_by_none

    os.environ.setdefault("DO_NOT_TRACK", "1")  # Prefect tells of its import where it is imported
    as_json = "--json" in sys.argv
    try:
        return int(app(standalone_mode=False) or 0)
    except TyperException as error:
        return end(usage_ending(error), as_json=as_json)
    except KeyboardInterrupt:  # beside what Typer sees to
        return 130
    except Exception as error:  # noqa: BLE001 - the last place that could tell of it
        ending = ending_of(error)
        if isinstance(error, OSError) and (not as_json or is_of_output(error)):
            drop_output()
        if ending.kind == "internal":
            sys.stderr.write(obeyed_by_none(traceback.format_exc()))
        return end(ending, as_json=as_json)
