"""A run as a file that a browser keeps: its report, its trajectories, or Inspect's logs."""

import io
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

from grindstone.errors import InputError
from grindstone.ledger import Ledger
from grindstone.report.exports import ExportFormat, export_run
from grindstone.report.run_list import find_run

OFFERED = (ExportFormat.JSON, ExportFormat.ATIF, ExportFormat.INSPECT)


class Download(NamedTuple):
    """A file to keep."""

    name: str
    content: bytes


def run_download(ledger: Ledger, run_key: str, form: str) -> Download:
    """Return a run in a format; several files come as one zip.

    Args:
        ledger: The home's.
        run_key: The run, or the start of its key.
        form: json, atif or inspect.

    Raises:
        InputError: There is no such run or format, or what writes it is not installed.
    """
    key = find_run(ledger, run_key)
    if form not in [each.value for each in OFFERED]:
        raise InputError(form, "is no format of a download", ", ".join(OFFERED))
    with tempfile.TemporaryDirectory(prefix="grindstone-download-") as folder:
        files = export_run(ledger, key, Path(folder), [form])
        if len(files) == 1 and form != ExportFormat.ATIF:
            return Download(f"{key}{files[0].suffix}", files[0].read_bytes())
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                archive.write(file, file.name)
        return Download(f"{key}.{form}.zip", packed.getvalue())
