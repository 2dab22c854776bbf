"""What an agent, a task or a tool wrote, on the terminal of who reads it: text, and no orders."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.viewer_home import command, conversation, keep_attempt, keep_state

from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.records import TestResult

ORDERS = {
    "title": "\x1b]0;hacked\x07",
    "clipboard": "\x1b]52;c;aGFja2Vk\x07",
    "hidden": "\x1b[8mhidden",
    "up": "\x1b[3A\x1b[2K",
    "c1": "\x9b3A\x9d0;hacked\x9c",
    "over": "wrong\rright",
    "back": "wrong\b\b\b\b\bright",
    "turned": "\u202egnorw\u2066",
}
"""What a terminal would do, or show otherwise than it was written."""

PAYLOAD = " ".join(f"<{name}>{order}</{name}>" for name, order in ORDERS.items())
DRAWN = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;[^\x1b]*\x1b\\|\r\n")
"""What Rich draws with: colours and links, and how a terminal ends its lines."""

COMMANDS = {
    "an attempt": ("episodes", "names-one"),
    "attempts as JSON": ("episodes", "--json"),
    "a run": ("report", "one"),
    "what is not there": ("report", "\x1b]0;hacked\x07\x1b[3A"),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("terminal") / "home"
    ledger = Ledger(Home.at(root).root)
    failed = TestResult(name=f"test_{PAYLOAD}", status="failed", message=PAYLOAD)
    keep_attempt(
        ledger,
        "one",
        "names",
        conversation("names", [command(2, f"cat x # {PAYLOAD}", PAYLOAD, message=PAYLOAD)]),
        passed=False,
        tests=(failed,),
        title=PAYLOAD,
        evidence=PAYLOAD,
        basis="void",
    )
    keep_state(ledger, "one", "completed")
    return root


def on_a_terminal(*arguments: str) -> str:
    """Return what a terminal is sent by the command."""
    mine, its = pty.openpty()
    shown = bytearray()
    with subprocess.Popen(
        [sys.executable, "-m", "grindstone.flows.cli", *arguments],
        stdin=its,
        stdout=its,
        stderr=its,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "4000"},
    ):
        os.close(its)
        while True:
            try:
                piece = os.read(mine, 65_536)
            except OSError:  # the other side is closed
                break
            shown += piece
    os.close(mine)
    return shown.decode("utf-8")


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_no_order_to_a_terminal_is_passed_on(home, arguments):
    shown = on_a_terminal(*arguments, "--work-dir", str(home))
    assert "hacked" in shown
    left = DRAWN.sub("", shown)
    found = re.findall(r"[^\x20-\x7e\n\xa0-\u2029\u202f-\u2065\u206a-\U0010ffff]", left)
    assert not found, sorted(set(found))
    assert "\x1b[8m" not in shown
