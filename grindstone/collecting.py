"""When Python's garbage collector may look: not while modules load, not as a process ends.

Loading makes hundreds of thousands of objects and next to no garbage, and every search for
garbage goes through all of them again; what is frozen is left out. An interpreter's end searches
several times, for a second in all once Prefect and a model's SDK are loaded.
"""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """Within, no garbage is looked for; what is there at the end is never garbage after it."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


def before_exit() -> None:
    """Have the interpreter end without looking for garbage, which goes with the process."""
    gc.disable()
    gc.freeze()
