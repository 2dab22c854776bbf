"""S3 as a process of its own: moto's server, with a bucket, behind whatever stands before it."""

import contextlib
import http.client
import os
import random
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple, Self

import pytest

from grindstone.flows.serving.addresses import free_port
from grindstone.home import Home

GoTo = Callable[[str], Home]
"""Goes to a machine, which has nothing at first; returns the home as it is seen there."""

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "somebody",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "us-east-1",
    "AWS_ALLOW_HTTP": "true",
}


def write_keys(file: Path, key: str) -> None:
    """Write credentials of a profile `fleet` as AWS's own tools do, all at once."""
    new = file.with_suffix(".new")
    new.write_text(
        f"[fleet]\naws_access_key_id = {key}\naws_secret_access_key = s%\n"
        f"aws_session_token = of-{key}\n"
    )
    new.replace(file)


class Bucket(NamedTuple):
    """A bucket that answers at an address."""

    endpoint: str
    name: str
    pid: int = 0  # of its server

    @property
    def url(self) -> str:
        return f"s3://{self.name}"

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in order to find it."""
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.endpoint}


def machines_of(bucket: Bucket, folder: Path, patch: pytest.MonkeyPatch) -> GoTo:
    """Return a way to machines with a home in a bucket, and caches of their own in a folder."""
    for name, value in bucket.environment.items():
        patch.setenv(name, value)

    def go(machine: str) -> Home:
        patch.setenv("GRINDSTONE_CACHE_DIR", str(folder / machine))
        return Home.at(f"{bucket.url}/{folder.name}")

    return go


@contextmanager
def serving_s3(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[Bucket]:
    """Serve S3 with one bucket until the block ends; its log is in the folder."""
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    server = Path(sys.executable).with_name("moto_server")
    with (folder / "s3.log").open("wb") as log:
        process = subprocess.Popen(
            [str(server), "-H", "127.0.0.1", "-p", str(port)],
            env={**os.environ, **(environment or {})},
            stdout=log,
            stderr=log,
        )
    try:
        for _ in range(150):
            try:
                request = urllib.request.Request(f"{endpoint}/kept", method="PUT")
                urllib.request.urlopen(request, timeout=10).close()
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        yield Bucket(endpoint, "kept", process.pid)
    finally:
        process.kill()
        process.wait()


class _ManyAtOnce(ThreadingHTTPServer):
    request_queue_size = 128


class Spoiled:
    """A proxy before storage that answers a share of requests with 503, by a seed.

    Half of these come after storage has done what was asked, as when its answer is lost. As long as
    `refusing` is a status, all requests of some verbs are answered with that.
    """

    refusing: int | None = None
    expired: tuple[str, int] | None = None
    """An access key, and the status of the answers to its requests: its session is over."""
    refused_verbs: frozenset[str] = frozenset(("GET", "PUT", "POST", "DELETE", "HEAD"))

    def __init__(self, bucket: Bucket, *, rate: float, seed: int, host: str = "127.0.0.1") -> None:
        self._chance = random.Random(seed)
        self._rate = rate
        self._lock = threading.Lock()
        self._gone = False
        self.spoiled = self.passed = 0
        upstream, _, port = bucket.endpoint.removeprefix("http://").partition(":")
        self._upstream = (upstream, int(port))

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(self) -> None:
                with contextlib.suppress(ConnectionError):  # whoever asked was killed
                    super().handle()

            def log_message(self, *_: object) -> None:
                pass

        def answer(asked: BaseHTTPRequestHandler) -> None:
            if self._gone:  # connections that were kept open end, too
                raise ConnectionAbortedError
            self._answer(asked)

        for verb in ("GET", "PUT", "POST", "DELETE", "HEAD"):
            setattr(Handler, f"do_{verb}", answer)
        self._server = _ManyAtOnce((host, 0), Handler)
        self._server.daemon_threads = True
        self.bucket = Bucket(f"http://{host}:{self._server.server_port}", bucket.name, bucket.pid)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._gone = True
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, asked: BaseHTTPRequestHandler) -> None:
        content = asked.rfile.read(int(asked.headers.get("content-length") or 0))
        with self._lock:
            spoil = self._chance.random() < self._rate
            before = self._chance.random() < 0.5
            self.spoiled += spoil
            self.passed += 1
        status, headers, answer = 503, {}, b"<Error><Code>SlowDown</Code></Error>"
        if self.refusing is not None and asked.command in self.refused_verbs:
            status, answer = self.refusing, b"<Error><Code>AccessDenied</Code></Error>"
        elif self.expired and f"={self.expired[0]}/" in asked.headers.get("authorization", ""):
            status, answer = self.expired[1], b"<Error><Code>ExpiredToken</Code></Error>"
        elif not (spoil and before):
            upstream = http.client.HTTPConnection(*self._upstream, timeout=60)
            upstream.request(asked.command, asked.path, content, dict(asked.headers.items()))
            found = upstream.getresponse()
            body = found.read()
            if not spoil:
                status, headers, answer = found.status, dict(found.getheaders()), body
            upstream.close()
        asked.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                asked.send_header(name, value)
        length = headers.get("Content-Length", "0") if asked.command == "HEAD" else len(answer)
        asked.send_header("Content-Length", str(length))
        asked.end_headers()
        if asked.command != "HEAD":
            asked.wfile.write(answer)
