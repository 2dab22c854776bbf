"""A PostgreSQL server of a test's own, where its programs are on this machine."""

import contextlib
import getpass
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from grindstone.flows.serving.addresses import free_port

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


def as_postgres(*command: str) -> None:
    """Run a command as a user whom PostgreSQL accepts: anyone but root."""
    switch = ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()
    subprocess.run([*switch, *command], check=True, capture_output=True, cwd="/")


class Database(NamedTuple):
    """A database that answers at an address, and the first process of its server."""

    url: str
    pid: int


@contextlib.contextmanager
def serving_postgres(encoding: str = "UTF8") -> Iterator[Database]:
    """Serve a database until the block ends; needs `BINARIES`."""
    folder = Path(tempfile.mkdtemp(prefix="grindstone-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    user = "postgres" if os.geteuid() == 0 else getpass.getuser()
    data, port, programs = str(folder / "data"), free_port(), BINARIES[-1].parent
    made_as = ("--encoding", encoding, "--locale", "C")
    as_postgres(str(programs / "initdb"), "-D", data, "-A", "trust", "-N", "-U", user, *made_as)
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    control = (str(programs / "pg_ctl"), "-D", data, "-w")
    as_postgres(*control, "-l", str(folder / "log"), "-o", options, "start")
    try:
        pid = int((folder / "data" / "postmaster.pid").read_text().split("\n", 1)[0])
        yield Database(f"postgresql+asyncpg://{user}@127.0.0.1:{port}/postgres", pid)
    finally:
        as_postgres(*control, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)
