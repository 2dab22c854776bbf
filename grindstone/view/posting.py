"""Orders that the viewer's page sends: from this very page, by somebody with the home's login.

The login stands in a header that no browser sends by itself, so another site's page cannot
use it. That a request comes from the viewer's own origin, and is JSON, is asked for besides.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from pydantic import ValidationError

from grindstone.errors import InputError
from grindstone.ledger import Ledger
from grindstone.report.run_list import find_run
from grindstone.runs.orders import order_run
from grindstone.steering import GivenOrder, Order

MOST_BYTES = 4096


def foreign(headers: Mapping[str, str]) -> str:
    """Return why a request may not change anything; empty where it may."""
    if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return "an order is JSON"
    site = headers.get("sec-fetch-site")
    if site is not None and site != "same-origin":
        return "an order comes from the viewer's own page"
    origin = headers.get("origin")
    if site is None and origin is not None and urlsplit(origin).netloc != headers.get("host"):
        return "an order comes from the viewer's own page"
    return ""


def take_order(ledger: Ledger, run_key: str, body: bytes, by: str) -> GivenOrder:
    """Give a run the order that a page sent.

    Args:
        ledger: The home's.
        run_key: The run, or the start of its key.
        body: An `Order` as JSON.
        by: Whose login it came with.

    Raises:
        InputError: It is no order, or the run takes none.
    """
    try:
        order = Order.model_validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "order"
        raise InputError(where, first["msg"], "an order") from error
    return order_run(ledger, find_run(ledger, run_key), order, by=by, via="viewer")
