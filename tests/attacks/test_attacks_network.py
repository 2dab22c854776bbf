"""No way out of a sandbox but to what its task allows, and none to the host or to a neighbour."""

import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.internet import HOST_SECRET, METADATA, PRIVATE, PRIVATE_6, PUBLIC, internet
from support.sandboxes import Start

from grindstone.sandbox import Sandbox, SealedSpec
from grindstone.sandbox.network.rules import NetworkRules

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("ip", "openssl", "nsenter"))),
    reason="an internet of the tests' own needs root, ip, openssl and nsenter",
)

INSIDE = Path(__file__).parent / "ways_out.py"
WAYS = 50
"""At least as many are in there."""

ADDRESSES = {
    "private.wild.test": [PRIVATE],
    "private6.wild.test": [PRIVATE_6],
    "mixed.wild.test": [PUBLIC, PRIVATE],
    "mapped.wild.test": [f"::ffff:{PRIVATE}"],
    "nat64.wild.test": ["64:ff9b::a42:1"],
    "sixtofour.wild.test": ["2002:a42:1::1"],
    "metadata.wild.test": [METADATA],
    "loopback.wild.test": ["127.0.0.1"],
    "loopback6.wild.test": ["::1"],
    "zero.wild.test": ["0.0.0.0"],
    "host.wild.test": ["11.0.0.1"],
    "service.test": ["11.0.0.1"],
    "localhost": ["127.0.0.1"],
}
"""Every other name ending in .test is at the public address."""

WORKS = {
    "an allowed host": "as good.test",
    "an allowed host by TLS": "as good.test",
    "an allowed host with a last dot": "reached",
    "a host below an allowed one": "as a.wild.test",
    "another host in the header": "as good.test",  # the header is the proxy's, not the agent's
    "a second request behind the first": "as good.test",
}


class Lookups(dict[str, int]):
    """How often a name was looked up."""


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lookups]:
    lookups = Lookups()
    real = socket.getaddrinfo

    def resolve(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        if not isinstance(host, str) or not (host.endswith(".test") or host == "localhost"):
            return real(host, port, *rest, **more)
        lookups[host] = lookups.get(host, 0) + 1
        found = ADDRESSES.get(host, [PUBLIC])
        if host == "rebinds.wild.test" and lookups[host] > 1:
            found = [PRIVATE]
        return [entry for one in found for entry in real(one, port, *rest, **more)]

    with pytest.MonkeyPatch.context() as patch, internet(tmp_path_factory.mktemp("world")):
        patch.setattr(socket, "getaddrinfo", resolve)
        yield lookups


async def _ask(sandbox: Sandbox, url: str) -> str:
    command = (
        "python3 - <<'X'\nimport sys,urllib.request as u\n"
        f"try: sys.stdout.buffer.write(u.urlopen({url!r}, timeout=20).read())\n"
        "except Exception as e: print(e, getattr(e, 'read', bytes)())\nX"
    )
    return (await sandbox.exec(command, timeout_s=60)).output


@pytest.mark.catalogue
async def test_fifty_ways_out_of_an_allow_list(outside: Lookups, start: Start) -> None:
    hosts = ("good.test", "*.wild.test", "service.test:4200", "localhost:3128")
    with socket.socket(socket.AF_UNIX) as nameless:
        nameless.bind("\0grindstone-test")
        nameless.listen()
        sandbox = await start(network=NetworkRules(mode="allowlist", hosts=hosts))
        await sandbox.write_files({"/app/ways_out.py": INSIDE.read_bytes()})
        told = await sandbox.exec("python3 /app/ways_out.py", timeout_s=110)
        await sandbox.close()
    ways: dict[str, str] = json.loads(told.output)
    assert len(ways) >= WAYS
    for name, wanted in WORKS.items():
        assert wanted in ways.pop(name), name
    out = {
        name: answer
        for name, answer in ways.items()
        if "reached" in answer or HOST_SECRET in answer
    }
    assert out == {}
    refused = [name for name, answer in ways.items() if "403 Forbidden" in answer]
    assert len(refused) >= 30


test_fifty_ways_out_of_an_allow_list.ways = WAYS  # type: ignore[attr-defined]


@pytest.mark.catalogue
async def test_what_was_asked_for_is_recorded(outside: Lookups, start: Start) -> None:
    sandbox = await start(network=NetworkRules(mode="allowlist", hosts=("good.test",)))
    await _ask(sandbox, "http://good.test/")
    await _ask(sandbox, "http://evil.test/")
    await sandbox.close()
    good, evil = sandbox.visits  # type: ignore[attr-defined]
    assert (good.host, good.refused) == ("good.test", "")
    assert good.received > 20
    assert (evil.host, evil.received) == ("evil.test", 0)
    assert "not on the task's list" in evil.refused


@pytest.mark.catalogue
async def test_a_name_is_resolved_once(outside: Lookups, start: Start) -> None:
    outside.pop("rebinds.wild.test", None)
    sandbox = await start(network=NetworkRules(mode="allowlist", hosts=("*.wild.test",)))
    first = await _ask(sandbox, "http://rebinds.wild.test/")
    assert outside["rebinds.wild.test"] == 1
    second = await _ask(sandbox, "http://rebinds.wild.test/")
    await sandbox.close()
    assert f"reached ::ffff:{PUBLIC}" in first
    assert "not public" in second


@pytest.mark.catalogue
async def test_the_public_network_is_public(outside: Lookups, start: Start) -> None:
    """Any host by name, and still neither the host nor a private address."""
    sandbox = await start(network=NetworkRules(mode="public"))
    told = [
        await _ask(sandbox, f"http://{host}/")
        for host in (
            "any.test",
            "any.test:8080",
            "private.wild.test",
            "host.wild.test:4200",
            "metadata.wild.test",
            "11.0.0.2",
            "loopback.wild.test:4200",
        )
    ]
    await sandbox.close()
    assert all("reached" in answer for answer in told[:2])
    assert all("403" in answer for answer in told[2:]), told


@pytest.mark.catalogue
async def test_what_builds_images_reaches_private_hosts_and_never_this_one(
    outside: Lookups, start: Start
) -> None:
    """A mirror of packages is often at a private address; it also shows that these answer."""
    sandbox = await start(network=NetworkRules(mode="public", private=True))
    private = await _ask(sandbox, "http://private.wild.test/")
    others = [
        await _ask(sandbox, f"http://{host}/")
        for host in ("host.wild.test:4200", "loopback.wild.test:4200", "metadata.wild.test")
    ]
    await sandbox.close()
    assert f"reached ::ffff:{PRIVATE}" in private
    assert all("403" in answer for answer in others), others


@pytest.mark.catalogue
async def test_no_network_is_none(outside: Lookups, start: Start) -> None:
    sandbox = await start()
    await sandbox.write_files({"/app/ways_out.py": INSIDE.read_bytes()})
    told = await sandbox.exec("python3 /app/ways_out.py", timeout_s=110)
    await sandbox.close()
    ways: dict[str, str] = json.loads(told.output)
    assert [name for name, answer in ways.items() if "reached" in answer] == []
    assert HOST_SECRET not in told.output


@pytest.mark.catalogue
async def test_attempts_do_not_reach_each_other(outside: Lookups, start: Start) -> None:
    public = NetworkRules(mode="public")
    one, other = await start(network=public), await start(network=public)
    serve = "cd /tmp && echo SECRETOFONE >secret && (python3 -m http.server 9000 >/dev/null 2>&1 &)"
    await one.exec(f"{serve}; sleep 1; cat /proc/net/fib_trie", timeout_s=20)
    own = await one.exec("cat /proc/net/tcp | head -5", timeout_s=10)
    answers = [
        await _ask(other, f"http://{host}:9000/secret")
        for host in (
            "127.0.0.1",
            "localhost",
            "172.17.0.2",
            "172.17.0.3",
            "sandbox",
            "loopback.wild.test",
        )
    ]
    mine = await _ask(one, "http://127.0.0.1:9000/secret")
    await one.close()
    await other.close()
    assert "SECRETOFONE" in mine, own.output
    assert not any("SECRETOFONE" in answer for answer in answers)


@pytest.mark.catalogue
async def test_the_tests_have_a_network_of_their_own(
    outside: Lookups, start: Start, tmp_path: Path
) -> None:
    """`[agent]` and `[verifier]` of a task.toml may differ; what the one opened ends with it."""
    agents = NetworkRules(mode="allowlist", hosts=("good.test",))
    sandbox = await start(network=agents)
    fetching = (
        'for h in good.test other.test; do python3 -c "import urllib.request as u;'
        "print(u.urlopen('http://$h/', timeout=20).read())\" 2>&1 | tail -n 1; done"
    )
    held_open = (
        "python3 -c \"import socket,time; s=socket.create_connection(('127.0.0.1', 3128));"
        "s.sendall(b'CONNECT good.test:80 HTTP/1.1\\r\\n\\r\\n'); "
        "print(s.recv(99)[:12], flush=True);"
        "print('cut', s.recv(99), flush=True); time.sleep(600)\" > /tmp/held 2>&1 &\n"
        "for i in $(seq 100); do grep -q 200 /tmp/held && break; sleep 0.1; done; cat /tmp/held"
    )
    before = await sandbox.exec(fetching, timeout_s=60)
    held = await sandbox.exec(held_open, timeout_s=60)
    told = {}
    for name, rules in {
        "theirs": NetworkRules(mode="allowlist", hosts=("other.test",)),
        "none": NetworkRules(mode="none"),
    }.items():
        told[name] = await sandbox.exec_sealed(
            SealedSpec(
                command=fetching + "; cat /tmp/held",
                timeout_s=60,
                inputs={"/tests": tmp_path},
                log_dir="/logs/verifier",
                network=rules,
                keep="all",
            )
        )
    after = await sandbox.exec(fetching, timeout_s=60)
    await sandbox.close()
    assert "200" in held.output
    assert "as good.test" in before.output
    assert "as other.test" not in before.output
    assert "as good.test" not in told["theirs"].run.output
    assert "as other.test" in told["theirs"].run.output
    assert "cut" in told["theirs"].run.output
    assert " as " not in told["none"].run.output
    assert after.output == before.output


@pytest.mark.catalogue
async def test_bytes_have_a_limit(outside: Lookups, start: Start) -> None:
    rules = NetworkRules(mode="allowlist", hosts=("good.test",), max_bytes=300_000)
    sandbox = await start(network=rules)
    sizes = [
        len(await _ask(sandbox, f"http://good.test/big/{size}")) for size in (100_000, 900_000)
    ]
    after = await _ask(sandbox, "http://good.test/")
    await sandbox.close()
    assert sizes[0] == 100_000
    assert sizes[1] < 300_000
    assert "as many bytes as it may" in after


@pytest.mark.catalogue
async def test_the_door_is_there_again_after_a_restart(outside: Lookups, start: Start) -> None:
    sandbox = await start(network=NetworkRules(mode="allowlist", hosts=("good.test",)))
    await sandbox.restart()  # type: ignore[attr-defined]
    assert "as good.test" in await _ask(sandbox, "http://good.test/")
    await sandbox.close()


@pytest.mark.catalogue
async def test_the_agent_cannot_end_the_door(outside: Lookups, start: Start) -> None:
    sandbox = await start(network=NetworkRules(mode="allowlist", hosts=("good.test",)))
    await sandbox.exec("kill -9 -1", timeout_s=20)
    assert "as good.test" in await _ask(sandbox, "http://good.test/")
    await sandbox.close()
