"""A Redis server of a test's own, where its program is on this machine."""

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator

from grindstone.flows.serving.addresses import free_port

PROGRAM = shutil.which("redis-server")


@contextlib.contextmanager
def serving_redis() -> Iterator[int]:
    """Serve until the block ends; gives the port. Needs `PROGRAM`."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="grindstone-redis-") as folder:
        command = [PROGRAM or "", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
        with subprocess.Popen([*command, "--dir", folder], stdout=subprocess.DEVNULL) as server:
            try:
                while not _answers(port):
                    assert server.poll() is None, "Redis has ended"
                    time.sleep(0.05)
                yield port
            finally:
                server.kill()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as asked:
            asked.sendall(b"PING\r\n")
            return asked.recv(16).startswith(b"+PONG")
    except OSError:
        return False
