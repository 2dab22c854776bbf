"""A file is passed over only where a mark of all its tests is left out."""

from pathlib import Path

import pytest
from support.unwanted import unwanted

FILE = "import pytest\npytestmark = [pytest.mark.server, pytest.mark.timeout(600)]\n"
OTHER = "import pytest\n\n@pytest.mark.server\ndef test_it() -> None: ...\n"


@pytest.mark.parametrize(
    ("text", "expression", "passed_over"),
    [
        (FILE, "not (docker or server)", True),
        (FILE, "not (docker or slow)", False),
        (FILE, "server or docker", False),
        (FILE, "not server", False),
        (FILE, "", False),
        (OTHER, "not (docker or server)", False),
    ],
)
def test_a_file_is_passed_over(tmp_path: Path, text: str, expression: str, passed_over: bool):
    path = tmp_path / "test_any.py"
    path.write_text(text)
    assert unwanted(path, expression) is passed_over
