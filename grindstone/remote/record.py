"""What a copy of a home left on record: every file with its digest, age and mode.

<home>/copied.json
"""

from collections.abc import Mapping

from grindstone.base import Frozen
from grindstone.remote.store import Store

RECORD = "copied.json"


class CopiedFile(Frozen):
    """A file as it was copied."""

    sha256: str
    size: int
    written_ns: int
    executable: bool = False


class CopyRecord(Frozen):
    """All files of a copy by name, and what was left behind."""

    source: str
    files: Mapping[str, CopiedFile]
    left_out: tuple[str, ...] = ()
    whole: bool = False  # else it was cut short, and may be gone on with


def ages(store: Store) -> dict[str, int]:
    """Return when the files of a copied home were written, by name; empty where it is no copy."""
    found = store.get(RECORD)
    if found is None:
        return {}
    kept = CopyRecord.model_validate_json(found)
    return {name: file.written_ns for name, file in kept.files.items()}
