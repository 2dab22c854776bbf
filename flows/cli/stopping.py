"""Ctrl-C and SIGTERM: a run is called off in order, and says how to go on with it.

A signal's handler interrupts whatever the main thread is doing, and Prefect's raises there. So
the run's event loop has a thread of its own, the main thread waits, and a signal does one thing:
it cancels the run, which notes in the ledger how it ended.
"""

import asyncio
import contextlib
import contextvars
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, wait
from types import FrameType
from typing import Any, TypeVar

from grindstone.errors import Cause, InfrastructureError

T = TypeVar("T")

LOOK_S = 0.2


class Stopped(KeyboardInterrupt):
    """The command was told to stop.

    Attributes:
        exit_code: 130 after Ctrl-C, 143 after SIGTERM: 128 and the signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


class Stopping:
    """What a signal does: it cancels the run that is going on; without one it raises."""

    def __init__(self) -> None:
        self._number = 0  # of the first signal
        self._cancel: Callable[[], object] | None = None

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Take a signal; a second one no longer waits for the run to end in order."""
        again, self._number = bool(self._number), self._number or number
        if again or self._cancel is None:
            raise Stopped(self._number)
        self._cancel()

    def look(self, error: BaseException | None = None) -> None:
        """Make sure that a signal is heeded, whatever code it was raised in made of it.

        Raises:
            Stopped: There was a signal, and `error`, if any, is another one: pydantic wraps what
                is raised in a serializer, and where a library tries an import anything is dropped.
        """
        if self._number and not isinstance(error, Stopped):
            raise Stopped(self._number) from error

    def run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine to its end in a thread with an event loop.

        Raises:
            Stopped: A signal came, while it ran or before.
            InfrastructureError: What the run holds was taken from it, such as its lock in storage.
        """
        self.look()
        done: Future[T] = Future()
        context = contextvars.copy_context()

        async def main() -> T:
            loop, task = asyncio.get_running_loop(), asyncio.current_task()
            assert task is not None
            self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
            try:
                return await work()
            finally:
                self._cancel = None

        def drive() -> None:
            try:
                done.set_result(asyncio.run(main()))
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
                done.set_exception(error)

        threading.Thread(target=context.run, args=(drive,), name="run", daemon=True).start()
        try:
            # A signal that another thread received does not end a wait of the main thread,
            # which alone runs handlers.
            while not wait([done], LOOK_S).done:
                pass
            return done.result()
        except BaseException as error:
            self.look(error)
            if isinstance(error, asyncio.CancelledError):  # by whoever took what it holds
                why = str(error) or "the run was cancelled"
                raise InfrastructureError(Cause.REMOTE_HOME, why) from error
            raise


@contextlib.contextmanager
def stopping() -> Iterator[Stopping]:
    """Within, Ctrl-C and SIGTERM stop in order whatever is done; only in a main thread."""
    stop = Stopping()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    taken = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, stop.on_signal) for number in taken}
    try:
        yield stop
    except BaseException as error:
        stop.look(error)
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def how_to_go_on(run_key: str) -> str:
    """Return the command line that resumes the run this command drives."""
    given = [each for each in sys.argv[1:] if not each.startswith("--run-key=")]
    if "--run-key" in given:
        at = given.index("--run-key")
        del given[at : at + 2]
    return shlex.join(["grindstone", *given, "--run-key", run_key])
