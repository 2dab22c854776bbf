"""A Prefect server that went away: how it is known by the errors it leaves, and what is said.

It is no error of Grindstone's. Requests to it end in three ways: they cannot be sent; the client
wraps that ("Failed to reach API"); or it runs out of tries while it waits for the next one, which
`flows/cli/lost_server.py` sees to, and which the client has only an assertion for.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import prefect.client.base
from httpx import TransportError

from grindstone.errors import Cause, InfrastructureError

_CLIENT = Path(prefect.client.base.__file__)


def is_server_loss(error: BaseException) -> bool:
    """Return whether an error says that the Prefect server cannot be reached.

    Models are reached by another client, whose errors are of other classes.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, TransportError) or _ran_out_of_tries(cause):
            return True
        cause = cause.__cause__
    return False


def server_lost() -> InfrastructureError:
    """Return the error that ends a run whose Prefect server went away."""
    told = "it went away during the run; what was done is kept, and the same run key goes on"
    return InfrastructureError(Cause.PREFECT_SERVER, told)


@contextlib.contextmanager
def telling_server_loss() -> Iterator[None]:
    """Within, the loss of the server becomes the error that says so.

    Raises:
        InfrastructureError: It went away.
    """
    try:
        yield
    except Exception as error:
        if is_server_loss(error):
            raise server_lost() from error
        raise


def _ran_out_of_tries(error: BaseException) -> bool:
    trace = error.__traceback__
    if not isinstance(error, AssertionError) or trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    return Path(trace.tb_frame.f_code.co_filename) == _CLIENT
