"""Folders that travel by digest: put into storage once, fetched once by each machine.

    <home>/tasks/<digest>.tar.gz           in storage
    <home>/tasks/<digest>/<folder's name>/ on a machine

Who fetches one holds it against the digest before it is used (`load_task`, and the attempt).
Folders of one content may have several names: the archive has the first one's, and each gets its
own here.
"""

import io
import tempfile
import zlib
from pathlib import Path

from backports import tarfile

from grindstone.errors import InputError
from grindstone.remote.mirror import Mirror

TASKS = "tasks"


def put_folder(mirror: Mirror, folder: Path, digest: str) -> None:
    """Put a folder into storage, unless it is there.

    Raises:
        InfrastructureError: The storage did not take it.
    """
    name = f"{TASKS}/{digest}.tar.gz"
    if mirror.store.has(name):  # looked for each time: a rule of the bucket may have removed it
        return
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(folder.resolve(), arcname=folder.name, filter=_plain)
    mirror.store.put_new(name, buffer.getvalue())


def fetch_folder(mirror: Mirror, digest: str, name: str) -> Path:
    """Return a folder that somebody has put into storage, from there the first time.

    Raises:
        InputError: It is not there, or not whole.
        InfrastructureError: The storage did not answer.
    """
    place = mirror.root / TASKS / digest / name
    if not place.is_dir():
        content = mirror.store.get(f"{TASKS}/{digest}.tar.gz")
        where = f"{mirror.store.url}/{TASKS}/{digest}.tar.gz"
        if content is None:
            raise InputError(where, "is not there", "the task, put there by who sent the attempt")
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetched-", dir=mirror.root / TASKS) as work:
            try:
                with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as tar:
                    tar.extractall(work, filter="data")
                [whole] = Path(work).iterdir()
            except (tarfile.TarError, zlib.error, EOFError, ValueError) as error:
                expected = "what was sent: remove it, and the same run sends it again"
                raise InputError(where, f"is damaged: {error}", expected) from error
            try:
                whole.rename(place)
            except OSError:
                if not place.is_dir():  # else another process was faster
                    raise
    return place


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    _, *below = Path(entry.name).parts
    if entry.isdir() and (below == [".git"] or below[-1:] == ["__pycache__"]):
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry
