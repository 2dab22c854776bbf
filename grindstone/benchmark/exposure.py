"""Whether a task's tests run programs of the agent's with their own rights.

Linux tells users apart, and not the programs of one user: what the tests run as themselves can
read them and write the reward. This reads the tests' text, and is a finding, not a proof.
"""

import re
from pathlib import Path
from typing import NamedTuple

_RUNS = re.compile(
    r"""
    (?:^|[;&|(`]|\$\(|\bif\s|\bthen\s|\btimeout\s+\S+\s)\s*            # where a command begins
    (?:[A-Z_]+=\S*\s+)*
    (?:
        (?:bash|sh|python3?|node|ruby|perl|php|java|lua|Rscript|source|\.)\s+(?:-[\w=]+\s+)*
        (?!-)["']?(?!\$?\{?TEST_DIR|/tests/|/usr/|/dev/)[\w./${}~-]*\.(?:sh|py|js|rb|pl|php|jar|lua|R)\b
      | (?:make|cargo|npm|npx|yarn|go|mvn|gradle|cmake|dotnet)\s+(?:run|test|build|-|\w)
      | \./[\w./-]+
      | /(?:app|root|home|srv|workspace|work|code|src|tmp)/[\w./-]+(?:\s|$|[;&|)])
    )
    """,
    re.VERBOSE | re.MULTILINE,
)
_PYTHON_RUNS = re.compile(
    r"subprocess\.|os\.system\(|\bPopen\(|pexpect|importlib|runpy|\bexec\(|\bexecfile\(|\bpickle\."
)
_IMPORTS = re.compile(r"^\s*(?:sys\.path\.(?:insert|append)\()", re.MULTILINE)
_DROPS = re.compile(r"\b(su|runuser|setpriv|gosu|sudo)\b|\buser\s*=|setuid|demote")
_LIMIT_BYTES = 1_000_000


class Exposure(NamedTuple):
    """Where the tests run what may be the agent's."""

    file: str  # relative to the task's folder
    line: str


def exposed_by(task_dir: Path) -> Exposure | None:
    """Return the first place where the tests seem to run the agent's programs as themselves."""
    for file in sorted((task_dir / "tests").rglob("*")):
        if not file.is_file() or file.stat().st_size > _LIMIT_BYTES:
            continue
        text = file.read_text(errors="replace")
        if _DROPS.search(text):
            continue
        if file.suffix == ".py":
            found = _PYTHON_RUNS.search(text) or _IMPORTS.search(text)
        elif file.suffix == ".sh":
            found = _RUNS.search(text)
        else:
            continue
        if found:
            begin = text.rfind("\n", 0, found.end() - 1) + 1
            end = text.find("\n", found.end() - 1)
            line = text[begin : end if end >= 0 else None].strip()
            return Exposure(file.relative_to(task_dir).as_posix(), line[:120])
    return None
