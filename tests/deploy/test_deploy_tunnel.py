"""The UI of a server on another machine, reached through a tunnel that has another port."""

import contextlib
import json
import socket
import socketserver
import threading
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.browsing import browsing, log_in

from grindstone.flows.serving.login import login

pytestmark = [
    pytest.mark.browser,
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.timeout(600),
]


@contextlib.contextmanager
def tunnel(port: int) -> Iterator[str]:
    """Another port that leads to a port, as `ssh -L` makes it."""

    class Through(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", port)) as end:
                back = threading.Thread(target=_pour, args=(end, self.request))
                back.start()
                _pour(self.request, end)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Through) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def _pour(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65_536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)


def test_the_ui_asks_where_it_was_opened(up: Any, chromium: str) -> None:
    deployment = up.deployment("try-one-task")["id"]
    asked: set[str] = set()
    with tunnel(urlsplit(up.ui).port) as through, browsing(chromium) as page:
        page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
        log_in(page, through, login(up.home))
        page.goto(f"{through}/v2/deployments/deployment/{deployment}/run")
        page.get_by_text("A bundled task.").wait_for()
        page.locator("img[src$='/grindstone/mark.svg']").first.wait_for()
        page.wait_for_function("[...document.images].every(each => each.naturalWidth)")
        page.goto(f"{through}/grindstone/")
        page.get_by_role("heading", name="Runs").wait_for()
    assert urlsplit(through).netloc in asked
    assert urlsplit(up.ui).netloc not in asked


def test_who_is_beside_it_is_told_its_own_address(up: Any) -> None:
    with urllib.request.urlopen(f"{up.ui}/ui-settings", timeout=20) as answer:
        assert json.load(answer)["api_url"] == f"{up.ui}/api"
    kind = up.get("/block_types/slug/grindstone-model")
    assert kind["logo_url"] == f"{up.ui}/grindstone/mark.svg"
    # A host that is none is not repeated to anybody.
    request = urllib.request.Request(f"{up.ui}/ui-settings", headers={"Host": 'x"y'})
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert json.load(answer)["api_url"] == f"{up.ui}/api"


def test_up_names_the_form_to_begin_with(up: Any) -> None:
    done = up.command("up", "--work-dir", str(up.home))
    place = f"{up.ui}/v2/deployments/deployment/{up.deployment('try-one-task')['id']}/run"
    assert f"Try it: {place}" in done.stderr
