"""What a failure of a service or the network means: its cause, and how long it asked to wait.

Recognised by type, status and the error type in the body; never by words in a message.
An error the service reports inside a stream comes with status 200, so the body's word
goes before the status.
"""

import email.utils
import json
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx2

from grindstone.errors import Cause, InfrastructureError

_LONGEST_DETAIL = 500

_BY_TYPE: Mapping[str, Cause] = {
    "rate_limit_error": Cause.RATE_LIMITED,
    "overloaded_error": Cause.OVERLOADED,
    "api_error": Cause.MODEL_SERVER,
    "timeout_error": Cause.MODEL_SERVER,
    # Bedrock's exception frames
    "throttlingException": Cause.RATE_LIMITED,
    "serviceUnavailableException": Cause.OVERLOADED,
    "internalServerException": Cause.MODEL_SERVER,
    "modelStreamErrorException": Cause.MODEL_SERVER,
    "modelTimeoutException": Cause.MODEL_SERVER,
    # OpenAI's codes
    "rate_limit_exceeded": Cause.RATE_LIMITED,
    "insufficient_quota": Cause.MODEL_REJECTED,  # with status 429, yet waiting does not help
    "server_error": Cause.MODEL_SERVER,
    "server_is_overloaded": Cause.OVERLOADED,
}
_REFUSALS = frozenset(
    {
        *("invalid_request_error", "authentication_error", "permission_error", "not_found_error"),
        *("billing_error", "request_too_large", "invalid_prompt", "context_length_exceeded"),
    }
)
"""Of what was asked. Any other error inside a stream that had begun is the service's own."""

_BY_STATUS: Mapping[int, Cause] = {
    408: Cause.MODEL_CONNECTION,  # the service gave up waiting for us
    409: Cause.MODEL_SERVER,  # a lock on their side timed out
    429: Cause.RATE_LIMITED,
    529: Cause.OVERLOADED,
}


class ServiceFault(Exception):  # noqa: N818 - what a service answered, not an error of ours
    """A service's refusal or failure.

    Attributes:
        status: Of HTTP; 200 where the error came inside a stream.
        kind: The error's type or code in the body.
        headers: Of the answer.
        body: As it came, at most its beginning.
    """

    def __init__(
        self, status: int, kind: str, message: str, headers: Mapping[str, str], body: bytes = b""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.headers = headers
        self.body = body


def error_in(body: Any) -> tuple[str, str]:
    """Return the kind and the words of an error's body, in either API's form."""
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, str):
        return "", error
    if not isinstance(error, dict):
        return "", json.dumps(body)[:500]
    kind = error.get("code") or error.get("type") or ""
    return str(kind), str(error.get("message") or "")


FAILURES: tuple[type[Exception], ...] = (
    ServiceFault,
    httpx2.HTTPError,
    httpx2.StreamError,
    TimeoutError,
    OSError,
    InfrastructureError,  # what the stream's reader found
    ValueError,  # a body or an event that is not JSON or not UTF-8
)
"""What one try may raise for reasons that are not ours."""


class Fault(NamedTuple):
    """A failure, understood."""

    error: InfrastructureError
    retry_after_s: float | None


def understand(failure: Exception) -> Fault:
    """Return what a failure of one try means.

    Args:
        failure: One of `FAILURES`.
    """
    if isinstance(failure, InfrastructureError):
        return Fault(failure, None)
    if isinstance(failure, ServiceFault):
        cause = _of_status(failure.kind, failure.status)
        detail = f"HTTP {failure.status} {failure.kind}: {failure}"
        retry_after_s = _retry_after_s(failure.headers)
        return Fault(InfrastructureError(cause, detail[:_LONGEST_DETAIL]), retry_after_s)
    error = InfrastructureError(_of_type(failure), described(failure)[:_LONGEST_DETAIL])
    return Fault(error, None)


def _of_status(kind: str, status: int) -> Cause:
    if (cause := _BY_TYPE.get(kind)) is not None:
        return cause
    if status < 400:
        if kind in _REFUSALS:
            return Cause.MODEL_REJECTED
        status = int(kind) if kind.isdecimal() and len(kind) == 3 else 500  # some tell a status
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return Cause.MODEL_SERVER if status >= 500 else Cause.MODEL_REJECTED


def _of_type(failure: Exception) -> Cause:
    if isinstance(failure, httpx2.DecodingError):
        return Cause.MODEL_SERVER
    if isinstance(failure, (httpx2.HTTPError, httpx2.StreamError, OSError)):  # or TimeoutError
        return Cause.MODEL_CONNECTION
    return Cause.MODEL_SERVER


def described(failure: Exception) -> str:
    """Return a failure's type and words, or its cause's where it has one, behind who was asked."""
    reason = failure.__cause__ or failure
    words = f"{type(reason).__name__}: {reason}" if str(reason) else type(reason).__name__
    return f"{_asked(failure)}{words}"


def _asked(failure: Exception) -> str:
    """Return the address a failed request was for, without path and password."""
    try:
        request = getattr(failure, "request", None)
    except RuntimeError:  # httpx2's word for none
        return ""
    return f"{request.url.copy_with(userinfo=b'', raw_path=b'')}: " if request else ""


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the pause the service asks for: milliseconds, seconds or a date (RFC 9110)."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000)
        if "retry-after" not in headers:
            return None
        return max(0.0, float(headers["retry-after"]))
    except ValueError:
        date = email.utils.parsedate_tz(headers.get("retry-after", ""))
        return None if date is None else max(0.0, email.utils.mktime_tz(date) - time.time())
