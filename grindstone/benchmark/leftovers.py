"""What of the processes an agent left may run on while the tests run.

Whatever runs beside the tests can disturb them, so nothing does unless the task needs it. A task
says so with `[environment] keep_processes`. One that does not say may still ask for a service:
where its tests speak of sockets, ports or a client of a known server, what the agent left is kept
if some of it listens. Whether the tests speak of one is the task's word, so an agent cannot have
its processes kept by opening a socket.
"""

import re
from pathlib import Path

from grindstone.sandbox.protocol import Keep

_SPEAKS_OF_SERVICES = re.compile(
    rb"localhost|127\.0\.0\.1|0\.0\.0\.0|\[?::1\]?|socket|\.sock\b|https?://|/dev/tcp|\bport\b"
    rb"|\b(curl|wget|nc|ncat|netcat|ssh|redis|psql|pg_isready|mysql|mongo\w*|grpc\w*|smtp\w*|ftp)\b"
    rb"|\b(psutil|pgrep|pidof|systemctl|supervisorctl|lsof|netstat|ss\s+-\w+|ps\s+-?[aexuf]+)\b",
    re.IGNORECASE,
)
_LIMIT_BYTES = 1_000_000


def what_to_keep(declared: bool | None, tests_dir: Path) -> Keep:
    """Return what of an agent's processes the task's tests may need.

    Args:
        declared: `keep_processes` of task.toml, None where it does not say.
        tests_dir: Read where it does not say.
    """
    if declared is not None:
        return "all" if declared else "nothing"
    read = (
        file.read_bytes()
        for file in sorted(tests_dir.rglob("*"))
        if file.is_file() and file.stat().st_size <= _LIMIT_BYTES
    )
    return "listening" if any(map(_SPEAKS_OF_SERVICES.search, read)) else "nothing"
