"""Where a Prefect server listens and keeps its data: usable addresses, or a word why not."""

import socket
from urllib.parse import urlsplit

from grindstone.errors import InputError


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def require_address(api_url: str) -> None:
    """Make sure that PREFECT_API_URL can be an address at all.

    Raises:
        InputError: It cannot.
    """
    try:
        place = urlsplit(api_url)
        usable = place.scheme in ("http", "https") and bool(place.hostname) and place.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise InputError(
            "PREFECT_API_URL", f"is {api_url!r}", "an address such as http://127.0.0.1:4200/api"
        )


def require_database(address: str) -> None:
    """Make sure that a database's address is one that Prefect's server takes.

    Raises:
        InputError: It is not.
    """
    from sqlalchemy.engine import make_url  # noqa: PLC0415 - it takes as long as all else here
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        driver = make_url(address).drivername
    except (ArgumentError, ValueError):
        driver = ""
    if driver not in ("postgresql+asyncpg", "sqlite+aiosqlite"):
        problem = f"begins with {driver!r}" if driver else "is no address of a database"
        raise InputError("--database-url", problem, "postgresql+asyncpg://user:password@host/name")


def require_free(port: int) -> None:
    """Make sure that nobody listens on a port.

    Raises:
        InputError: Somebody does.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            expected = f"a free port, such as --port {free_port()}"
            raise InputError(f"--port {port}", f"cannot be used: {error}", expected) from error
