"""Whether a task's tests lend programs of the agent's their own rights.

Linux tells users apart, and not the programs of one user: what the tests run as themselves can
read them and write the reward. So can a process of the agent that is kept beside tests which run a
program of the agent's as another user: it is handed the folder which that program sees, and reads
and writes there as root. This reads the tests' text, and is a finding, not a proof.
"""

import re
from pathlib import Path
from typing import NamedTuple

from grindstone.sandbox.protocol import Keep

_RUNS = re.compile(
    r"""
    (?:^|[;&|(`]|\$\(|\bif\s|\bthen\s|\btimeout\s+\S+\s)\s*            # where a command begins
    (?:[A-Z_]+=\S*\s+)*
    (?:
        (?:bash|sh|python3?|node|ruby|perl|php|java|lua|Rscript|source|\.)\s+(?:-[\w=]+\s+)*
        (?!-)["']?(?!\$?\{?TEST_DIR|/tests/|/usr/|/dev/)[\w./${}~-]*\.(?:sh|py|js|rb|pl|php|jar|lua|R)\b
      | (?:source|\.)\s+
        (?!["']?(?:\$\{?(?:TEST_DIR|HOME)|~/\.|/root/\.|/tests/|/usr/|/etc/|/dev/))["']?[\w./${}~-]+
      | (?:uv|pdm|poetry|pipenv|hatch|bundle)\s+(?:run|exec)\s
      | git\s+(?:-[Cc]\s*\S+\s+|--\S+\s+)*                     # its hooks, filters and drivers
        (?:status|add|commit|checkout|switch|diff|log|show|stash|merge|rebase|reset|restore)\b
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
    """Where the tests run what may be the agent's, or open themselves to what is kept of it."""

    file: str  # relative to the task's folder
    line: str
    to_kept: bool = False  # to processes that are kept, by a program run as another user


def exposed_by(task_dir: Path, keep: Keep) -> Exposure | None:
    """Return the first place where the tests seem to lend the agent's programs their rights.

    Args:
        task_dir: The task's folder.
        keep: What of the agent's processes may run beside the tests.
    """
    for file in sorted((task_dir / "tests").rglob("*")):
        if not file.is_file() or file.stat().st_size > _LIMIT_BYTES:
            continue
        text = file.read_text(errors="replace")
        dropped = _DROPS.search(text)
        if dropped:
            found = dropped if keep != "nothing" else None
        elif file.suffix == ".py":
            found = _PYTHON_RUNS.search(text) or _IMPORTS.search(text)
        elif file.suffix == ".sh":
            found = _RUNS.search(text)
        else:
            continue
        if found:
            begin = text.rfind("\n", 0, found.end() - 1) + 1
            end = text.find("\n", found.end() - 1)
            line = text[begin : end if end >= 0 else None].strip()
            name = file.relative_to(task_dir).as_posix()
            return Exposure(name, line[:120], to_kept=found is dropped)
    return None
