"""The Prefect server's clock, by which a run is due; this machine's own may be wrong."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from prefect.client.orchestration import PrefectClient


async def server_ahead(client: PrefectClient) -> timedelta:
    """Return how far the server's clock is ahead of this machine's, to a second or two.

    Nothing where the server does not tell the time.
    """
    told = (await client.hello()).headers.get("date")
    if told is None:
        return timedelta(0)
    return parsedate_to_datetime(told).astimezone(UTC) - datetime.now(UTC)
