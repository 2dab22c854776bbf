"""The same of storage that is not S3: Azure's emulator where it is installed, and Google's headers.

No emulator of Google's storage that runs on one machine takes the requests of the library, so a
server here knows what its documentation says of generations, and nothing more.
"""

import base64
import hashlib
import hmac
import json
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from grindstone.flows.serving.addresses import free_port
from grindstone.remote.store import Store

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The emulator's own, the same everywhere."""

pytestmark = pytest.mark.slow


@pytest.fixture
def azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip("Azure's emulator is not installed (npm install azurite)")
    port = free_port()
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [
                *(program, "--inMemoryPersistence", "--skipApiVersionCheck"),
                *("--disableTelemetry", "--blobPort", str(port)),
            ],
            stdout=log,
            stderr=log,
            cwd=tmp_path,
        )
    try:
        _make_container(f"http://127.0.0.1:{port}")
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT)
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
        monkeypatch.setenv("AZURE_ENDPOINT", f"http://127.0.0.1:{port}/{ACCOUNT}")
        monkeypatch.setenv("AZURE_ALLOW_HTTP", "true")
        yield Store("az://kept/team")
    finally:
        server.kill()
        server.wait()


def _make_container(endpoint: str) -> None:
    version = "2021-08-06"
    for _ in range(100):
        date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        named = f"x-ms-date:{date}\nx-ms-version:{version}\n"
        signed = f"PUT{chr(10) * 12}{named}/{ACCOUNT}/{ACCOUNT}/kept\nrestype:container"
        mac = hmac.new(base64.b64decode(KEY), signed.encode(), hashlib.sha256).digest()
        request = urllib.request.Request(
            f"{endpoint}/{ACCOUNT}/kept?restype=container",
            method="PUT",
            headers={
                "x-ms-date": date,
                "x-ms-version": version,
                "Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(mac).decode()}",
                "Content-Length": "0",
            },
        )
        try:
            urllib.request.urlopen(request).close()
        except urllib.error.URLError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError("Azure's emulator did not start")


class _Generations(BaseHTTPRequestHandler):
    """Objects with generations, as https://cloud.google.com/storage/docs/xml-api says."""

    objects: dict[str, tuple[int, bytes]]

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["content-length"]))
        there, _ = self.objects.get(self.path, (0, b""))
        wanted = self.headers.get("x-goog-if-generation-match")
        if wanted is not None and int(wanted) != there:
            self._answer(412, 0)
            return
        self.objects[self.path] = (there + 1, content)
        self._answer(200, there + 1)

    def do_GET(self) -> None:
        generation, content = self.objects.get(self.path, (0, b""))
        self._answer(200 if generation else 404, generation, content)

    def _answer(self, status: int, generation: int, content: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("etag", '"the same"')  # of no use to who wants to replace it
        self.send_header("x-goog-generation", str(generation))
        self.send_header("last-modified", "Fri, 27 Nov 2026 00:00:00 GMT")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    handler = type("Handler", (_Generations,), {"objects": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    account = {
        "gcs_base_url": f"http://127.0.0.1:{server.server_port}",
        "disable_oauth": True,
        "client_email": "",
        "private_key": "",
        "private_key_id": "",
    }
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_KEY", json.dumps(account))
    yield Store("gs://kept/team")
    server.shutdown()
    server.server_close()


@pytest.mark.registry
def test_azure_keeps_what_conditions_say(azure: Store):
    conditions_hold(azure)
    assert [each.name for each in azure.listed("a")] == ["a/x", "a/y"]
    azure.delete("a/x")
    azure.delete("a/x")
    assert not azure.has("a/x")


def test_google_is_shown_the_generation(google: Store):
    conditions_hold(google)


def conditions_hold(store: Store) -> None:
    """What is written under a condition is there only where it held."""
    assert store.get("a/x") is None
    store.put("a/x", b"1")
    assert store.put_new("a/x", b"2") is None
    first = store.put_new("a/y", b"1")
    assert first is not None
    second = store.put_over("a/y", b"2", first)
    assert second not in (None, first)
    assert store.put_over("a/y", b"3", first) is None
    there = store.version("a/y")
    assert there is not None
    assert there == (b"2", second)
