"""What another version of Grindstone sent to a worker: refused in one sentence that has both.

Prefect reads a run's parameters before the run begins, and says of what it cannot read a page. What
is annotated with `or_unreadable` is then something that the run itself refuses.
"""

import os
import socket
from typing import NamedTuple

from prefect.context import FlowRunContext
from pydantic import ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from grindstone import __version__
from grindstone.errors import InputError

WORKER = "prefect.worker.name"
"""Label that a worker gives a run as it takes it."""
EARLIER = "an earlier one"
"""Version of a sender that does not say which."""


class Unreadable(NamedTuple):
    """In the place of a parameter that cannot be read."""

    problem: str


def _read(value: object, read: ValidatorFunctionWrapHandler) -> object:
    try:
        return read(value)
    except ValidationError as error:
        return Unreadable(str(error))


OR_UNREADABLE = WrapValidator(_read)
"""Annotates a parameter that a worker is sent: what it cannot read is `Unreadable`."""


def refusal(sent: str, version: str) -> InputError:
    """Return why a worker does not do what it was sent.

    Args:
        sent: What, in words: "attempts".
        version: Of Grindstone, where it was sent.
    """
    context = FlowRunContext.get()
    own = context.flow_run if context else None
    named = own.labels.get(WORKER) if own is not None else None
    worker = f"worker {named or os.getpid()} on {socket.gethostname()}"
    problem = f"has Grindstone {__version__}, and the run that sent it {sent} {version}"
    if version == __version__:
        problem = f"cannot read {sent} it was sent, though both sides are {__version__}"
    return InputError(worker, problem, "the same Grindstone wherever a run is driven or made")


def require_own_version(version: str, sent: str, *given: object) -> None:
    """Make sure that what a worker was given came from its own version of Grindstone.

    Args:
        version: Of whoever sent it; empty: it is not told.
        sent: What, in words.
        given: The parameters that were annotated with `OR_UNREADABLE`.

    Raises:
        InputError: It did not.
    """
    if version not in ("", __version__) or any(isinstance(each, Unreadable) for each in given):
        raise refusal(sent, version or EARLIER)
