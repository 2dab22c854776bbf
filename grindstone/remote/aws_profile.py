"""Credentials of AWS from the file of its own tools, read anew as a run goes on.

The library that speaks to storage knows credentials of the environment, which a process has for
good, and those of the cloud's own machines. Short-lived ones that somebody renews are in a file.
"""

import configparser
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obstore.store import S3Credential

READ_S = 30.0
"""How long what was read is used at the most; the library asks again sooner where it is busy."""
ELSEWHERE = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE")
"""Variables that go before the file, as with the cloud's own tools."""


class Credentials:
    """Those of one kind that a process has, and since when they are known to have expired.

    Attributes:
        read: What reads them for the library; None: it finds them by itself.
        renewed: Whether others may come in their place while the process goes on.
    """

    def __init__(
        self, whose: str, read: "Callable[[], S3Credential] | None", *, renewed: bool
    ) -> None:
        """Take whose they are, in words."""
        self.read, self.renewed = read, renewed
        self._whose = whose
        self._since: float | None = None

    def waited_s(self) -> float:
        """Return for how long they are known to have expired: 0 where that was not known yet.

        All that use them wait at the same time, and not one after another.
        """
        now = time.monotonic()
        self._since = self._since or now
        return now - self._since

    def work(self) -> None:
        """Note that a request was answered."""
        self._since = None

    def told(self, waited_s: float) -> str:
        """Return what is told of those that have expired."""
        what = f"its credentials have expired, those of {self._whose}"
        if not self.renewed:
            return f"{what}, which a process has for good"
        return f"{what}, and no new ones came for {waited_s:.0f} s"


_KNOWN: dict[str, Credentials] = {}


def credentials_of(url: str, environ: Mapping[str, str]) -> Credentials:
    """Return the credentials for an address; the same for all that have them from one place."""
    if not url.startswith("s3:"):
        return Credentials("this machine", None, renewed=False)
    read, whose = of_profile(environ), "the environment"
    if read is not None:
        path, profile = _place(environ)
        whose = f"the profile {profile} in {path}"
    elif not environ.get(ELSEWHERE[0]):
        whose = "this machine"
    made = Credentials(whose, read, renewed=whose != "the environment")
    return _KNOWN.setdefault(whose, made)


def _place(environ: Mapping[str, str]) -> tuple[Path, str]:
    """Return the credentials file, and the profile in it."""
    named = environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials"
    return Path(named).expanduser(), environ.get("AWS_PROFILE") or "default"


def of_profile(environ: Mapping[str, str]) -> "Callable[[], S3Credential] | None":
    """Return what reads the credentials file, `AWS_SHARED_CREDENTIALS_FILE` or its usual place.

    Args:
        environ: The environment; `AWS_PROFILE` names the profile.

    Returns:
        None where the environment has credentials, or the file has none for the profile.
    """
    if any(environ.get(name) for name in ELSEWHERE):
        return None
    path, profile = _place(environ)

    def read() -> "S3Credential":
        file = configparser.ConfigParser(interpolation=None)
        file.read_string(path.read_text())
        found = file[profile]
        credential: S3Credential = {
            "access_key_id": found["aws_access_key_id"],
            "secret_access_key": found["aws_secret_access_key"],
            "expires_at": datetime.now(UTC) + timedelta(seconds=READ_S),
        }
        if token := found.get("aws_session_token"):
            credential["token"] = token
        return credential

    try:
        read()
    except (OSError, KeyError, ValueError, configparser.Error):
        return None
    return read
