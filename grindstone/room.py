"""Room on the disk of a home: without it nothing is begun, and what ends for want of it says so."""

import errno
import os
import shutil
import tempfile
from pathlib import Path

NEEDED_BYTES = 50_000_000
"""Free space without which a home is not begun in: a server's database and a small run."""


def require_room(home: Path) -> None:
    """Make sure that a home can be written to, making its folder where it is new.

    Raises:
        OSError: It cannot, or next to nothing is free on its disk.
    """
    home.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.NamedTemporaryFile(dir=home, prefix=".room-"):
            pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(home)) from error
    if shutil.disk_usage(home).free < NEEDED_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(home))
