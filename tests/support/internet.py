"""An internet of the tests' own: nothing leaves this machine, and every address answers.

The calling thread moves into a network namespace that stands for the host (11.0.0.1). A second
one, behind a pair of virtual interfaces, stands for everything else: public, private and
metadata addresses lead there and are answered, so that what is not reached was refused.
"""

import contextlib
import ctypes
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NEW_NETWORK = 0x40000000

HOST, PUBLIC, PUBLIC_6 = "11.0.0.1", "11.0.0.2", "2600:ffff::2"
PRIVATE, METADATA, PRIVATE_6 = "10.66.0.1", "169.254.169.254", "fd00:66::1"
HOST_SECRET = "the host's own service"


class Answers(BaseHTTPRequestHandler):
    """Says who was asked, and for what."""

    text = ""

    def do_GET(self) -> None:
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", f"http://{PRIVATE}/")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        here = self.connection.getsockname()[0]
        body = (self.text or f"reached {here} as {self.headers['Host']}").encode()
        if self.path.startswith("/big/"):
            body = b"x" * int(self.path.removeprefix("/big/"))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


class HostAnswers(Answers):
    """The host's service."""

    text = HOST_SECRET


class _Six(ThreadingHTTPServer):
    address_family = socket.AF_INET6  # and version 4 through it


def serve(certificate: str) -> None:
    """Be the rest of the world until standard input ends."""
    for port in (80, 443, 8080):
        server = _Six(("::", port), Answers)
        if port == 443:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@contextlib.contextmanager
def internet(folder: Path) -> Iterator[None]:
    """Move this thread, and the threads and processes it starts, onto that internet.

    Needs root and the programs `ip`, `openssl`, `unshare` and `nsenter`.
    """
    certificate = folder / "certificate.pem"
    _run(
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
        *("-subj", "/CN=good.test", "-keyout", str(certificate), "-out", str(folder / "c.pem")),
    )
    with certificate.open("a") as file:
        file.write((folder / "c.pem").read_text())
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    with contextlib.ExitStack() as exits:
        exits.callback(os.close, before)
        assert libc.unshare(NEW_NETWORK) == 0, os.strerror(ctypes.get_errno())
        exits.callback(libc.setns, before, NEW_NETWORK)
        command = ["unshare", "--net", sys.executable, __file__, str(certificate)]
        world = exits.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        )
        exits.callback(world.kill)
        assert world.stdout is not None and world.stdin is not None
        assert world.stdout.readline() == b"ready\n"
        pid = str(world.pid)
        inside = ("nsenter", "--target", pid, "--net", "ip")
        _run("ip", "link", "set", "lo", "up")
        _run("ip", "link", "add", "out", "type", "veth", "peer", "name", "in", "netns", pid)
        _run("ip", "addr", "add", f"{HOST}/24", "dev", "out")
        _run("ip", "addr", "add", "2600:ffff::1/64", "dev", "out", "nodad")
        _run("ip", "link", "set", "out", "up")
        for name in (f"{PUBLIC}/24", f"{PRIVATE}/32", f"{METADATA}/32"):
            _run(*inside, "addr", "add", name, "dev", "in")
        for name in (f"{PUBLIC_6}/64", f"{PRIVATE_6}/128"):
            _run(*inside, "addr", "add", name, "dev", "in", "nodad")
        _run(*inside, "link", "set", "lo", "up")
        _run(*inside, "link", "set", "in", "up")
        _run("ip", "route", "add", "default", "via", PUBLIC)
        _run("ip", "-6", "route", "add", "default", "via", PUBLIC_6)
        service = ThreadingHTTPServer(("0.0.0.0", 4200), HostAnswers)
        exits.callback(service.server_close)
        threading.Thread(target=service.serve_forever, daemon=True).start()
        exits.callback(service.shutdown)
        yield
        world.stdin.close()
        world.stdout.close()


if __name__ == "__main__":
    serve(sys.argv[1])
