"""Turns the sources kept as .old into what the task begins with, then is removed."""

import os
import sys
from pathlib import Path

CRLF = (".cfg",)

for old in sorted(Path(sys.argv[1]).rglob("*.old")):
    new = old.with_suffix("")
    data = old.read_bytes()
    if new.suffix in CRLF:
        data = data.replace(b"\n", b"\r\n")
    new.write_bytes(data)
    os.chmod(new, 0o755 if new.suffix == ".sh" else 0o644)
    old.unlink()
