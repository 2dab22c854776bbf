"""One request of a program inside: from the journal, or from the service and then the journal."""

import asyncio
import json
from collections.abc import Mapping
from typing import NamedTuple

import httpx2

from grindstone.digest import digest
from grindstone.errors import BudgetExceededError, Cause, InfrastructureError
from grindstone.llm.budget import RequestSize
from grindstone.llm.faults import ServiceFault
from grindstone.llm.messages import Response
from grindstone.llm.sse import HttpInquiry
from grindstone.proxy.api import BadBody, Body, ProxiedApi, whole
from grindstone.proxy.identity import call_key
from grindstone.proxy.reach import kept_inside, reckoned_bytes, told_beside
from grindstone.proxy.session import Exchange, Session

OURS_TO_MEND = frozenset({401, 402, 403, 407})
_OURS_TO_MEND = frozenset(
    {"authentication_error", "permission_error", "billing_error", "insufficient_quota"}
)
"""A service that refuses with one of these would refuse whatever the program asked."""


class PassedRefusal(Exception):  # noqa: N818 - the service's answer, handed on
    """The service refused this request, which is the program's business."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.body = body


class Received(NamedTuple):
    """An answer that is in the journal."""

    body: Body
    settled: str  # the request's identity; the session is told once it went in whole


async def answer(
    session: Session,
    api: ProxiedApi,
    body: Body,
    *,
    client: httpx2.AsyncClient,
    headers: Mapping[str, str],
    handed_over: asyncio.Event,
) -> Received:
    """Return the answer to a request; it is in the journal by then.

    Args:
        session: Whose.
        api: How it is asked.
        body: The request.
        client: Sends the credentials.
        headers: The request's.
        handed_over: Set once the answer went in, or whoever asked is gone.

    Raises:
        SessionEnded: Nothing more is answered.
        PassedRefusal: The service refused the request.
        BadBody: It is no request of the API.
    """
    body = kept_inside(body)
    try:
        identity = await asyncio.to_thread(lambda: digest(api.identity(body)))
        opening, heard = api.opening(body), api.heard(body)
        outgoing = api.outgoing(body)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise BadBody(f"the body is no request of this API: {error}") from error
    if session.opening is None:
        session.opening = opening
    for each in heard:
        session.hear(each)
    async with session.one_at_a_time(identity), session.in_turn():
        await session.handed_over(identity)
        site = session.begin_call()
        key = call_key(
            run_key=session.calls.books.run_key,
            site=site,
            api=api.api,
            model=session.calls.resolved.model_id,
            settled=identity,
            occurrence=session.occurrence(identity),
        )
        response = await session.calls.recall(key, site)
        if response is None:
            content = await asyncio.to_thread(_encoded, outgoing)
            reckoned = reckoned_bytes(body, len(content))
            inquiry = HttpInquiry(
                client,
                session.service.urls[api.api],
                content,
                lambda: api.streamed(reckoned),
                headers=told_beside(headers),
            )
            size = RequestSize(reckoned, api.most_tokens(body))
            try:
                response = await session.calls.pay(inquiry, site, key, size=size)
            except (InfrastructureError, BudgetExceededError) as error:
                _end(session, api, error)
                raise AssertionError from error  # `_end` always raises
        session.goes_in(identity, handed_over)
        return Received(_kept(session, api, response), identity)


def _encoded(body: Body) -> bytes:
    return json.dumps(body).encode()


def _kept(session: Session, api: ProxiedApi, response: Response) -> Body:
    body = whole(response)
    session.answered(
        Exchange(api.said(body), response.usage, response.stop_reason, response.replayed)
    )
    return body


def _end(
    session: Session, api: ProxiedApi, error: InfrastructureError | BudgetExceededError
) -> None:
    """End the session, unless the service refused what the program may ask otherwise."""
    fault = error.__cause__
    if (
        isinstance(error, InfrastructureError)
        and error.cause is Cause.MODEL_REJECTED
        and isinstance(fault, ServiceFault)
        and fault.status < 500
        and fault.status not in OURS_TO_MEND
        and fault.kind not in _OURS_TO_MEND
    ):
        if fault.status >= 400:
            raise PassedRefusal(fault.status, fault.body) from error
        told = api.error(fault.kind, str(fault))  # inside a stream
        raise PassedRefusal(400, json.dumps(told).encode()) from error
    session.fail(error)
    session.require_open()
