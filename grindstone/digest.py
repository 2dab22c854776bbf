"""Identity by content: no path, clock or random name takes part."""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, JsonValue

SHORT = 12
"""Hex digits kept where a digest becomes part of a name (48 bits)."""


def canonical_json(value: JsonValue | BaseModel) -> str:
    """Return the one spelling of a JSON value: sorted keys, no white space, no NaN."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest(value: JsonValue | BaseModel) -> str:
    """Return the SHA-256 of a value's canonical JSON, in hex."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def digest_files(files: Iterable[tuple[str, bytes, bool]]) -> str:
    """Return the SHA-256 of (relative name, content, executable) triples, in any order."""
    outer = hashlib.sha256()
    for name, content, executable in sorted(files):
        inner = hashlib.sha256(content).hexdigest()
        outer.update(f"{name}\0{inner}\0{int(executable)}\n".encode())
    return outer.hexdigest()


def digest_tree(root: Path, *, ignore: frozenset[str] = frozenset({".git", "__pycache__"})) -> str:
    """Return the SHA-256 of a folder: names, contents and executable bits.

    Links count by their target's name, and are never followed.
    """
    found: list[tuple[str, bytes, bool]] = []
    for folder, subfolders, names in os.walk(root, followlinks=False):
        subfolders[:] = sorted(set(subfolders) - ignore)
        here = Path(folder)
        links = [name for name in subfolders if (here / name).is_symlink()]
        for name in [*names, *links]:
            path = here / name
            relative = path.relative_to(root).as_posix()
            if path.is_symlink():
                found.append((relative, b"link:" + os.fsencode(path.readlink()), False))
            elif path.is_file():
                found.append((relative, path.read_bytes(), bool(path.stat().st_mode & 0o100)))
    return digest_files(found)
