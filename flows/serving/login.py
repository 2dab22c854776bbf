"""The login of a home's Prefect servers: one string for API and UI, kept beside the database.

It is made when the first server of a home starts and read by everything of the home that talks
to one. A server that somebody else started has a string of its own, which the user gives in
`PREFECT_API_AUTH_STRING`. Nothing here imports Prefect, which reads its environment at import.
"""

import base64
import contextlib
import os
import secrets
import stat
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path

from grindstone.errors import InputError
from grindstone.home import Home

VARIABLE = "PREFECT_API_AUTH_STRING"
"""By which Prefect's clients are told; a process of a home has it in its environment."""

USER = "admin"
SECRET_BYTES = 24
PRIVATE = 0o600


def login_file(home: Path) -> Path:
    """Return where the login of a home's servers is kept."""
    return Home.at(home).server / "login"


def login(home: Path) -> str:
    """Return the login of a home's servers, `user:password`; the first call makes it.

    The file is closed to everybody but its owner, whoever wrote it.

    Raises:
        InputError: The file holds no login, or cannot be read.
    """
    path = login_file(home)
    if not path.exists():
        _make(path)
    try:
        if stat.S_IMODE(path.stat().st_mode) != PRIVATE:
            path.chmod(PRIVATE)
        found = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise InputError(
            str(path), f"cannot be read: {error}", "the login of the server"
        ) from error
    if ":" not in found or not found.isprintable() or " " in found:
        expected = "one line user:password, or no file, and the next start makes one"
        raise InputError(str(path), "holds no login", expected)
    return found


def _make(path: Path) -> None:
    """Write a login that nobody can guess; of several at once, the first one's stands."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(own, os.O_CREAT | os.O_EXCL | os.O_WRONLY, PRIVATE), "w") as file:
            file.write(f"{USER}:{secrets.token_urlsafe(SECRET_BYTES)}\n")
        with contextlib.suppress(FileExistsError):
            os.link(own, path)
    finally:
        own.unlink(missing_ok=True)


def as_header(login: str) -> dict[str, str]:
    """Return the header by which HTTP carries a login."""
    return {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}


def refused(api_url: str, login: str | None) -> bool:
    """Return whether a Prefect API refuses a login, or a request without one."""
    headers = as_header(login) if login else {}
    request = urllib.request.Request(f"{api_url}/admin/version", headers=headers)
    try:
        urllib.request.urlopen(request, timeout=10).close()
    except urllib.error.HTTPError as error:
        return error.code == HTTPStatus.UNAUTHORIZED
    except (OSError, ValueError):
        pass  # nobody is there, which others find out and say
    return False


def require_admission(api_url: str) -> None:
    """Make sure that the server a user named admits this process.

    Raises:
        InputError: It does not.
    """
    if os.environ.get("PREFECT_API_KEY") or not refused(api_url, os.environ.get(VARIABLE)):
        return
    # A profile of Prefect's may have it; what Prefect reads at import is there by now.
    from prefect.settings import PREFECT_API_AUTH_STRING  # noqa: PLC0415

    if refused(api_url, PREFECT_API_AUTH_STRING.value()):
        problem = f"is not set, or not what the server at {api_url} was started with"
        raise InputError(VARIABLE, problem, "that server's auth string")
