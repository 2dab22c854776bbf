"""A provider is one module and one row: nothing else names it."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from grindstone.errors import InputError
from grindstone.sandbox import open_provider

TOY = """
from grindstone.sandbox.capabilities import Tool

def probe():
    return (Tool(name="toy", works=True, version="1"),)

class Toy:
    kind = "toy"
"""

AFTER = """
from typer.testing import CliRunner

from grindstone.blocks.sandbox import SandboxBlock
from grindstone.flows.cli.app import app
from grindstone.sandbox import open_provider
from grindstone.settings import RunSettings

def choices(model):
    return model.model_json_schema()["properties"]["sandbox"]["enum"]

doctor = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
print(json.dumps({
    "opened": asyncio.run(open_provider("toy")).kind,
    "settings": choices(RunSettings),
    "block": choices(SandboxBlock),
    "doctor": [tool["name"] for tool in doctor["tools"]],
    "help": "toy" in CliRunner().invoke(app, ["check", "--help"]).stdout,
}))
"""


@pytest.mark.commands
def test_a_row_is_all_that_a_new_provider_needs(tmp_path: Path) -> None:
    (tmp_path / "toy_sandbox.py").write_text(TOY)
    registry = Path(sys.modules["grindstone.sandbox.registry"].__file__ or "")
    row = '    ProviderRow("toy", "toy_sandbox:Toy", "toy_sandbox:probe"),\n'
    text = registry.read_text().replace(
        "] = (\n    ProviderRow(", f"] = (\n{row}    ProviderRow(", 1
    )
    begin = (
        "import sys, types\n"
        "module = types.ModuleType('grindstone.sandbox.registry')\n"
        "sys.modules[module.__name__] = module\n"
        f"exec({text!r}, module.__dict__)\n"
        "import asyncio, json\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", begin + AFTER],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["opened"] == "toy"
    for place in ("settings", "block"):
        assert told[place] == ["auto", "toy", "docker", "bubblewrap", "kubernetes"]
    assert "toy" in told["doctor"]
    assert told["help"]


async def test_an_unknown_provider_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        InputError, match="there is no 'podman'; expected auto, docker, bubblewrap, kubernetes"
    ):
        await open_provider("podman")


@pytest.mark.bubblewrap
async def test_where_one_is_chosen_the_others_are_not_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as engine:
        engine.settimeout(0.2)
        monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{engine.getsockname()[1]}")
        await (await open_provider("bubblewrap")).close()
        with pytest.raises(TimeoutError):
            engine.accept()
