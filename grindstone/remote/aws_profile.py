"""Credentials of AWS from the file of its own tools, read anew as a run goes on.

The library that speaks to storage knows credentials of the environment, which a process has for
good, and those of the cloud's own machines. Short-lived ones that somebody renews are in a file.
"""

import configparser
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


def of_profile(environ: Mapping[str, str]) -> "Callable[[], S3Credential] | None":
    """Return what reads the credentials file, `AWS_SHARED_CREDENTIALS_FILE` or its usual place.

    Args:
        environ: The environment; `AWS_PROFILE` names the profile.

    Returns:
        None where the environment has credentials, or the file has none for the profile.
    """
    if any(environ.get(name) for name in ELSEWHERE):
        return None
    named = environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials"
    path, profile = Path(named).expanduser(), environ.get("AWS_PROFILE") or "default"

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
