"""A Prefect server that went away: how it is known by the errors it leaves, and what is said.

It is no error of Grindstone's. Requests to it end in five ways: they cannot be sent; the client
wraps that ("Failed to reach API"); it runs out of tries while it waits for the next one, which
`flows/cli/lost_server.py` sees to, and which the client has only an assertion for; or the server
answers that it failed (500 and above), as one does whose database has no disk left; or that it does
not know a run that it was told of, as where its database was set back or a person deleted the run.
"""

import contextlib
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import prefect.client.base
from httpx import HTTPStatusError, TransportError
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from grindstone.errors import Cause, InfrastructureError

_CLIENT = Path(prefect.client.base.__file__)


def is_server_loss(error: BaseException) -> bool:
    """Return whether an error says that the Prefect server cannot be reached, or has failed.

    Models are reached by another client, whose errors are of other classes.
    """
    cause: BaseException | None = error
    while cause is not None:
        gone = isinstance(cause, TransportError) or _ran_out_of_tries(cause) or _is_forgotten(cause)
        if gone or failure_of(cause):
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
    how = "it went away during the run"
    while cause is not None:
        if status := failure_of(cause):
            how = f"it failed (HTTP {status}) during the run"
        elif _is_forgotten(cause):
            how = "the server does not know the run any more: its database was set back, or "
            how += "somebody deleted the run there"
        cause = cause.__cause__
    told = f"{how}; what was done is kept, and the same run key goes on"
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


def _is_forgotten(error: BaseException) -> bool:
    """Return whether an error says that the server has no run of which it was told."""
    if not isinstance(error, ObjectNotFound) or not isinstance(error.http_exc, HTTPStatusError):
        return False
    path = error.http_exc.request.url.path
    return "/flow_runs/" in path or "/task_runs/" in path


def _ran_out_of_tries(error: BaseException) -> bool:
    trace = error.__traceback__
    if not isinstance(error, AssertionError) or trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    return Path(trace.tb_frame.f_code.co_filename) == _CLIENT
