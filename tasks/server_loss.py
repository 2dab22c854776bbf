"""A Prefect server that went away: how it is known by the errors it leaves, and what is said.

It is no error of Grindstone's. Requests to it end in four ways: they cannot be sent; the client
wraps that ("Failed to reach API"); it runs out of tries while it waits for the next one, which
`flows/cli/lost_server.py` sees to, and which the client has only an assertion for; or the server
answers that it failed (500 and above), as one does whose database has no disk left.
"""

import contextlib
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import prefect.client.base
from httpx import TransportError
from prefect.exceptions import PrefectHTTPStatusError

from grindstone.errors import Cause, InfrastructureError

_CLIENT = Path(prefect.client.base.__file__)


def is_server_loss(error: BaseException) -> bool:
    """Return whether an error says that the Prefect server cannot be reached, or has failed.

    Models are reached by another client, whose errors are of other classes.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, TransportError) or _ran_out_of_tries(cause) or failure_of(cause):
            return True
        cause = cause.__cause__
    return False


def failure_of(error: BaseException) -> int:
    """Return the status by which the server said that it failed; 0: it did not say so."""
    if not isinstance(error, PrefectHTTPStatusError):
        return 0
    status = error.response.status_code
    return status if status >= HTTPStatus.INTERNAL_SERVER_ERROR else 0


def server_lost(error: BaseException) -> InfrastructureError:
    """Return the error that ends a run whose Prefect server went away or failed."""
    cause: BaseException | None = error
    while cause is not None and not failure_of(cause):
        cause = cause.__cause__
    how = "went away" if cause is None else f"failed (HTTP {failure_of(cause)})"
    told = f"it {how} during the run; what was done is kept, and the same run key goes on"
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
            raise server_lost(error) from error
        raise


def _ran_out_of_tries(error: BaseException) -> bool:
    trace = error.__traceback__
    if not isinstance(error, AssertionError) or trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    return Path(trace.tb_frame.f_code.co_filename) == _CLIENT
