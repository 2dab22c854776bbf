"""A Dockerfile of strangers has the engine ask this machine, a cloud's metadata or a neighbour."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.sandboxes import open_provider

from grindstone.benchmark.loading import load_tasks
from grindstone.digest import digest_tree
from grindstone.errors import GrindstoneError, InputError
from grindstone.sandbox import BuildSpec
from grindstone.sandbox.build_addresses import check_dockerfile, check_image

AT = "127.0.0.1:8123"
PLAIN = {
    "ADD": f"FROM scratch\nADD http://{AT}/ /x\n",
    "in small letters": f"from scratch\nadd http://{AT}/ /x\n",
    "with options": f"FROM scratch\nADD --chown=0:0 --link http://{AT}/ /x\n",
    "as a list": f'FROM scratch\nADD ["http://{AT}/", "/x"]\n',
    "as a list with words behind it": f'FROM scratch\nADD ["http://{AT}/", "/x"] y\n',
    "in quotes": f'FROM scratch\nADD ht"tp://{AT}/" /x\n',
    "escaped": f"FROM scratch\nADD h\\ttp://{AT}/ /x\n",
    "behind a file": f"FROM scratch\nADD Dockerfile http://{AT}/ /x/\n",
    "with a user": f"FROM scratch\nADD http://example.com@{AT}/ /x\n",
    "on lines of its own": f"FROM scratch\nADD \\\n# so\n\n  http://{AT}/ \\\n /x\n",
    "with another escape": f"# escape=`\nFROM scratch\nADD `\nhttp://{AT}/ /x\n",
    "ARG": f"FROM scratch\nARG U={AT}\nADD http://$U/ /x\n",
    "ARG for all": f"ARG U={AT}\nFROM scratch\nARG U\nADD http://${{U}}/ /x\n",
    "ENV over ARG": f"FROM scratch\nARG U=example.com\nENV U {AT}\nADD http://$U/ /x\n",
    "ENV of an earlier stage": f"FROM scratch AS a\nENV U={AT}\nFROM a\nADD http://$U/ /x\n",
    "a default": f"FROM scratch\nADD ${{U:-http://{AT}/}} /x\n",
    "an alternative": f"FROM scratch\nARG V=1\nADD ${{V:+http://{AT}/}} /x\n",
    "behind a document that is none": f'FROM scratch\nLABEL a="<<EOF"\nADD http://{AT}/ /x\n',
    "behind an escaped escape": f"FROM scratch\nLABEL a=b\\\\\nADD http://{AT}/ /x\n",
    "behind a document": f"FROM scratch\nCOPY <<A /a\nFROM b\nA\nADD http://{AT}/ /x\n",
    "git": f"FROM scratch\nADD http://{AT}/a.git /x\n",
    "a base image": f"FROM {AT}/a\n",
    "a base image by ARG": f"ARG B={AT}/a\nFROM $B\n",
    "COPY --from": f"FROM scratch\nCOPY --from={AT}/a /x /x\n",
    "an option in pieces": f'FROM scratch\nCOPY --f\\rom="{AT}/a" /x /x\n',
    "a reader of its own": f"# syntax={AT}/a\nFROM scratch\nCOPY Dockerfile /\n",
    "a reader named otherwise": f"#!/x\n// syntax={AT}/a\nFROM scratch\n",
}
"""What made an engine ask a server at this machine's loopback, or would, named for how."""

UNASKED = {
    "a mount": f"FROM a\nRUN --mount=type=bind,from={AT}/a,target=/x true\n",
    "ONBUILD": f"FROM a\nONBUILD ADD http://{AT}/ /x\n",
    "metadata": "FROM a\nADD http://169.254.169.254/latest/meta-data/ /x\n",
    "metadata by name": "FROM a\nADD http://metadata.google.internal/x /x\n",
    "a private address": "FROM a\nADD https://10.1.2.3/ /x\n",
    "another": "FROM 192.168.0.9:5000/a/b:1\n",
    "localhost": "FROM localhost/a\n",
    "the host by Docker's name": "FROM a\nADD http://host.docker.internal/ /x\n",
    "IPv6": "FROM a\nADD http://[::1]:80/ /x\n",
    "IPv4 in IPv6": "FROM a\nADD http://[::ffff:127.0.0.1]/ /x\n",
    "a short address": "FROM a\nADD http://127.1/ /x\n",
    "a hexadecimal one": "FROM a\nADD http://0x7f000001/ /x\n",
    "a decimal one": "FROM a\nADD http://2130706433/ /x\n",
    "wide digits": "FROM a\nADD http://\uff11\uff12\uff17.\uff10.\uff10.\uff11/ /x\n",
    "wide stops": "FROM a\nADD http://127\u30020\u30020\u30021/ /x\n",
    "nothing": "FROM a\nADD http://0.0.0.0/ /x\n",
    "git by ssh": "FROM a\nADD git@127.0.0.1:a/b.git /x\n",
    "git's own": "FROM a\nADD git://localhost/a.git /x\n",
    "what a base image may set": "FROM a\nADD http://$U/ /x\n",
    "all of it": "FROM a\nADD $U /x\n",
    "a part cut out": "FROM scratch\nARG U=x127.0.0.1\nADD http://${U#x}/ /x\n",
    "a stranger's reader": "# syntax=example.com/reader\nFROM a\n",
    "a reader as JSON": '{"syntax": "example.com/reader"}\nFROM a\n',
}
HONEST = {
    "public": "FROM ghcr.io/a/b:1\nARG V=1.2\nADD https://example.com/a-${V}.tgz /x\n",
    "files": "FROM a AS b\nADD . /x\nCOPY --from=b /x /x\nCOPY --from=0 /x /x\n",
    "stages": "ARG T=slim\nFROM python:$T AS one\nFROM one\nFROM --platform=$BUILDPLATFORM a\n",
    "Docker's reader": "# syntax=docker/dockerfile:1.7-labs\nFROM a\nADD git@github.com:a/b /x\n",
    "a document": f"FROM a\nRUN <<EOF cat > /Dockerfile\nFROM {AT}/a\nADD http://{AT}/ /x\nEOF\n",
    "a command": f"FROM a\nRUN curl http://{AT}/ || true\nCMD ADD http://{AT}/\n",
}


@pytest.mark.parametrize("text", [*PLAIN.values(), *UNASKED.values()], ids=[*PLAIN, *UNASKED])
def test_a_dockerfile_that_asks_nearby_is_refused(text: str, tmp_path: Path) -> None:
    task = tmp_path / "tasks" / "asks"
    for name, content in (
        ("instruction.md", "Do it.\n"),
        ("task.toml", "[environment]\nallow_internet = false\n"),
        ("environment/Dockerfile", text),
        ("tests/test.sh", "#!/bin/bash\n"),
    ):
        (task / name).parent.mkdir(parents=True, exist_ok=True)
        (task / name).write_text(content, "utf-8")
    [broken] = load_tasks(task.parent).broken
    assert broken.file.startswith("environment/Dockerfile:"), broken
    told = text.split("\n")[int(broken.file.rpartition(":")[2]) - 1]
    assert told.split()[0].upper() in {"ADD", "FROM", "COPY", "RUN", "ONBUILD"} or "syntax" in told


@pytest.mark.parametrize("text", HONEST.values(), ids=HONEST)
def test_a_dockerfile_that_asks_the_public_is_not(text: str) -> None:
    check_dockerfile(Path("Dockerfile"), text)


def test_a_document_is_none_to_a_builder_that_knows_none() -> None:
    text = f"FROM scratch\nRUN true <<'LABEL a=b'\nADD http://{AT}/ /x\nLABEL a=b\n"
    check_dockerfile(Path("Dockerfile"), text)
    with pytest.raises(InputError, match="Dockerfile:3"):
        check_dockerfile(Path("Dockerfile"), text, documents=False)


def test_a_ready_image_of_a_neighbour_is_refused_unless_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for image in ("127.0.0.1:5000/a", "localhost:5000/a", "10.0.0.1/a"):
        with pytest.raises(InputError, match="GRINDSTONE_BUILD_HOSTS"):
            check_image("docker_image", image)
    monkeypatch.setenv("GRINDSTONE_BUILD_HOSTS", "localhost:5000, 10.0.0.1")
    check_image("docker_image", "localhost:5000/a")
    check_image("docker_image", "10.0.0.1/a")
    check_image("docker_image", "python:3.11")


def test_a_name_is_looked_up_before_it_is_built() -> None:
    name = socket.gethostname()
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        pytest.skip("this machine's name cannot be looked up")
    text = f"FROM scratch\nADD http://{name}/ /x\n"
    check_dockerfile(Path("Dockerfile"), text)
    with pytest.raises(InputError, match=r"Dockerfile:2.*this machine's|not public"):
        check_dockerfile(Path("Dockerfile"), text, resolve=True)


@pytest.fixture
def loopback() -> Iterator[tuple[int, list[str]]]:
    """A server at this machine's loopback, and what it was asked for."""
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"secret")

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1], asked
    server.shutdown()
    server.server_close()


@pytest.mark.docker
async def test_no_build_asks_this_machines_loopback(
    loopback: tuple[int, list[str]], tmp_path: Path
) -> None:
    port, asked = loopback
    provider = await open_provider("docker", None)
    for number, text in enumerate(PLAIN.values()):
        folder = tmp_path / f"task-{number}" / "environment"
        folder.mkdir(parents=True)
        (folder / "Dockerfile").write_text(text.replace(AT, f"127.0.0.1:{port}"))
        with pytest.raises(GrindstoneError) as refused:
            await provider.build(BuildSpec(context_dir=folder, context_digest=digest_tree(folder)))
        assert isinstance(refused.value, InputError), (text, refused.value)
    assert asked == []
