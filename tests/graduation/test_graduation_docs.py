"""docs/graduation.md: its commands exist as written, and those that need no sandbox run."""

import asyncio
import json
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
from graduation_support import fill
from typer.main import get_command
from typer.testing import CliRunner

from grindstone.flows.cli.app import app
from grindstone.graduation import GraduationService
from grindstone.graduation.audit.signing import make_keys
from grindstone.ledger import Ledger
from grindstone.records import Episode, Purpose

PAGE = (Path(__file__).parents[2] / "docs" / "graduation.md").read_text("utf-8")
LINES = re.findall(r"^    (grindstone .+?)(?:\s+#.*)?$", PAGE, re.MULTILINE)
COMMANDS = [shlex.split(part)[1:] for line in LINES for part in line.split("; ")]
WHO = ("--by", "--validated-by")
IN_FLOWS = (["review"], ["promote"], ["exam", "run"], ["audit", "bundle"])
"""What starts a server and sandboxes, or needs a promotion, which takes them; tested as flows."""


def test_every_command_has_the_flags_it_is_shown_with():
    assert len(COMMANDS) == 20
    for words in COMMANDS:
        command: Any = get_command(app)
        rest = list(words)
        while hasattr(command, "get_command"):  # Typer has a click of its own
            found = command.get_command(click.Context(command), rest.pop(0))
            assert found is not None, words
            command = found
        known = {flag for parameter in command.params for flag in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= known, words


def test_what_the_reader_supplies_is_said_where_it_comes_from():
    table = re.search(r"\| stands for .+?\n\n", PAGE, re.DOTALL)
    assert table is not None
    firsts = [line.split("|")[1] for line in table[0].split("\n") if line]
    said = {word for cell in firsts for word in re.findall(r"`([^`]+)`", cell)}
    shown = {word for words in COMMANDS for word in words}
    assert said - {"~/keys/….pem"} <= shown
    assert {"ada", "EPISODE", "PROMOTION", "ANCHOR", "history.jsonl"} <= said
    people = {words[n] for words in COMMANDS for n in range(1, len(words)) if words[n - 1] in WHO}
    assert people <= said
    assert "…" not in "".join(LINES)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_those_that_need_no_sandbox_run_in_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    home = tmp_path / "evolution_workdir"
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GRINDSTONE_WORK_DIR", raising=False)
    service = GraduationService(home)
    asyncio.run(fill(service, 3))
    enrolled = {"by": "Grace", "second": "Linus", "reason": "came so"}
    service.sync.enrol_agent("ada", "SUPERVISED", **enrolled)
    make_keys(tmp_path / "keys" / "linus.pem")
    failed = Episode(
        episode_id="4f1c8a0b2d",
        run_key="past",
        agent_id="ada",
        purpose=Purpose.GRIND,
        task_id="crlf-kit",
        outcome="failed",
        started_at="2026-01-01T00:00:00Z",
        ended_at="2026-01-01T00:00:01Z",
    )
    Ledger(home).append([failed], run_key="past")
    [row] = re.findall(r"```json\n(.+?)```", PAGE, re.DOTALL)
    (tmp_path / "history.jsonl").write_text(row)
    supplied = {"EPISODE": "4f1c"}
    ran = 0
    for words in COMMANDS:
        if words[:1] in IN_FLOWS or words[:2] in IN_FLOWS or "--bundle" in words:
            continue
        given = [supplied.get(word, word).replace("~", str(tmp_path)) for word in words]
        done = CliRunner().invoke(app, given)
        assert done.exit_code == 0, (words, done.output, done.exception)
        ran += 1
        if given[:2] == ["exam", "add"]:
            supplied["CASE"] = done.stdout.splitlines()[0]
        if given == ["audit", "verify"]:
            head = json.loads(CliRunner().invoke(app, ["audit", "verify", "--json"]).stdout)["head"]
            supplied["ANCHOR"] = f"{head['sequence']}:{head['digest']}"
    assert ran == 14
    assert len(Ledger(home).rows(Episode)) == 3 + 1 + 1
