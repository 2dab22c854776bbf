"""What a run writes down holds no key, no environment value and no test source.

Two columns of the ledger are left out on purpose: `verdicts.output` and
`test_results.message` are the verifier's own words, which may quote a test.
"""

import json
import shutil
from pathlib import Path

import pytest
from support.cli_runs import Command
from support.wire_faults import WireFaults

from grindstone.ledger import Ledger
from grindstone.ledger.tables import TABLES
from grindstone.resources import bundled

pytestmark = [
    *(pytest.mark.server, pytest.mark.bubblewrap, pytest.mark.slow),
    pytest.mark.timeout(300),
    pytest.mark.usefixtures("command_environment"),
]

ENVIRONMENT = {
    "ANTHROPIC_API_KEY": "sk-ant-api03-canary-of-the-key",
    "AWS_SECRET_ACCESS_KEY": "canary-of-a-cloud-secret",
    "HARMLESS_SETTING": "canary-of-a-plain-variable",
}
IN_TESTS = "canary_of_the_test_source"
VERIFIERS_WORDS = {"verdicts": "output", "test_results": "message"}


def test_journal_and_ledger_hold_no_secret(tmp_path: Path, rehearsal_url: str):
    task = tmp_path / "tasks" / "crlf-kit"
    shutil.copytree(bundled("examples/tasks") / "crlf-kit", task)
    checks = task / "tests" / "checks.py"
    checks.write_text(f"# {IN_TESTS}\n{IN_TESTS} = 1\n{checks.read_text()}")
    home = tmp_path / "home"
    home.mkdir()
    with WireFaults(rehearsal_url) as proxy:
        command = Command(
            [
                *("grind", "--run-key", "K", "--work-dir", str(home), "--sandbox", "bubblewrap"),
                *("--tasks-dir", str(task.parent), "--model-id", "claude-sonnet-5-5"),
                *("--max-cycles", "2"),
            ],
            {**ENVIRONMENT, "ANTHROPIC_BASE_URL": proxy.url},
            tmp_path / "log.txt",
        )
        assert command.wait() == 0, command.tail()
    assert proxy.seen
    canaries = {*ENVIRONMENT.values(), IN_TESTS}

    # What the model was told, and so what it could have written down.
    told = json.dumps([seen.body for seen in proxy.seen])
    assert not [canary for canary in canaries if canary in told]

    ledger = Ledger(home)
    kept = ""
    for table in TABLES:
        frame = ledger.scan(table, "K").collect()
        if table in VERIFIERS_WORDS:
            frame = frame.drop(VERIFIERS_WORDS[table])
        kept += json.dumps(frame.to_dicts(), default=str)
    assert "crlf-kit" in kept
    assert not [canary for canary in canaries if canary in kept]

    journal = sorted((home / "runs" / "K" / "journal").iterdir())
    assert journal
    for path in (path for path in home.rglob("*") if path.is_file()):
        content = path.read_bytes()
        found = [canary for canary in canaries if canary.encode() in content]
        assert not found, path
