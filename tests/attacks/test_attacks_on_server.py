"""An agent with network and the Prefect server beside it: no way there, and no login here."""

import base64
import os
from pathlib import Path

import pytest
from support.sandboxes import Start

from grindstone.flows.serving.login import VARIABLE
from grindstone.masking import MARK, Mask
from grindstone.sandbox.network.rules import NetworkRules

pytestmark = pytest.mark.server

ASKING = """
python3 - <<'X'
import os, urllib.request as u
for host in ("127.0.0.1", "localhost", "host.docker.internal", "172.17.0.1", "{host}"):
    for opener in (u.build_opener(), u.build_opener(u.ProxyHandler({{}}))):
        request = u.Request(f"http://{{host}}:{port}/api/health")
        try:
            print("reached", host, opener.open(request, timeout=5).status)
        except Exception as error:
            print("not", host)
X
"""

LOOKING = """
cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'
env; cat /proc/net/unix; find / -xdev -newer /proc/1/stat -type f 2>/dev/null | head -100
grep -rsl -e '{login}' -e '{encoded}' / --exclude-dir=proc --exclude-dir=sys --include='*login*'
"""


async def test_an_agent_with_network_has_neither_the_api_nor_its_login(
    prefect_server: str, start: Start
) -> None:
    import socket

    port = prefect_server.removesuffix("/api").rpartition(":")[2]
    login = os.environ[VARIABLE]
    encoded = base64.b64encode(login.encode()).decode()
    sandbox = await start(network=NetworkRules(mode="public"))
    try:
        asked = await sandbox.exec(
            ASKING.format(port=port, host=socket.gethostname()), timeout_s=100
        )
        # The words looked for are put together inside: the command's own text holds them.
        looked = await sandbox.exec(
            LOOKING.format(login=login[6:12] + "''" + login[12:], encoded=encoded[:9]),
            timeout_s=100,
        )
    finally:
        await sandbox.close()
    assert asked.output.count("not ") == 10, asked.output
    assert "reached" not in asked.output
    assert "PREFECT" not in looked.output
    assert login.partition(":")[2] not in looked.output


def test_a_login_is_masked_where_it_is_recorded(tmp_path: Path) -> None:
    mask = Mask.of({VARIABLE: "admin:a-long-password"})
    assert mask("it said admin:a-long-password") == f"it said {MARK}"
