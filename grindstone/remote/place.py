"""Where a home is: in a folder, or in object storage with a folder of this machine to show it.

What is kept in storage is worked on through a folder in the user's cache, which says in a file
of its own whose it is. So a path names a home wherever it is kept, and nothing that is given a
path needs to know of storage. The folder may be deleted whenever nobody works in it: all that
counts is in storage before it is counted on.
"""

import json
import re
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote, urlsplit

from grindstone.errors import InputError
from grindstone.files import from_home, write_atomic
from grindstone.resources import cache_dir

SCHEMES = ("s3", "gs", "az")
MARK = "remote-home.json"
"""In the folder that shows a remote home: where that is."""

# A path that was made of an address has one slash left of two.
_ADDRESS = re.compile(r"(?:.*/)?([a-z][a-z0-9]{1,9}):/{1,2}(.*)", re.DOTALL)


def address_of(place: Path | str) -> str | None:
    """Return a home's address in object storage; None for a folder's path.

    Raises:
        InputError: It looks like an address, and is none a home can be at.
    """
    found = _ADDRESS.fullmatch(str(place))
    if found is None:
        return None
    scheme, rest = found[1], found[2].strip("/")
    if scheme not in SCHEMES or not rest:
        wanted = ", ".join(f"{each}://…" for each in SCHEMES)
        raise InputError(str(place), "is no place for a home", f"a folder, or {wanted}")
    return f"{scheme}://{rest}"


def folder_of(place: Path | str) -> Path:
    """Return the folder to work in: the place itself, or the one that shows a remote home.

    Raises:
        InputError: As `address_of`.
    """
    if str(place).startswith("file:/"):
        return Path(unquote(urlsplit(str(place)).path))
    address = address_of(place)
    if address is None:
        return from_home(place)
    readable = re.sub(r"[^A-Za-z0-9]+", "-", address)[:60].strip("-")
    folder = cache_dir() / "homes" / f"{readable}-{sha256(address.encode()).hexdigest()[:12]}"
    if not (folder / MARK).is_file():
        write_atomic(folder / MARK, json.dumps({"address": address}))
    return folder


def shown_in(folder: Path) -> str | None:
    """Return the address of the remote home that a folder shows; None for a home of its own."""
    try:
        return str(json.loads((folder / MARK).read_bytes())["address"])
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(str(folder / MARK), "is damaged", "the file as it was written") from error
