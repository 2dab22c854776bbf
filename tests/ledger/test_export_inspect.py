"""Inspect opens what is exported for it: its own reader says what it finds there."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.viewer_home import make_home

from grindstone.errors import InputError
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.report.exports import export_run
from grindstone.report.inspect_log import log_documents

ROOT = Path(__file__).resolve().parents[2]

READ = """
import json, sys
from inspect_ai.log import read_eval_log
log = read_eval_log(sys.argv[1])
print(json.dumps({
    "status": log.status, "model": log.eval.model, "task": log.eval.task,
    "metrics": {name: each.value for name, each in log.results.scores[0].metrics.items()},
    "samples": {sample.id: {
        "score": sample.scores["verifier"].value,
        "why": sample.scores["verifier"].explanation,
        "calls": [call.arguments for said in sample.messages if said.role == "assistant"
                  for call in said.tool_calls],
        "results": [m.text for m in sample.messages if m.role == "tool"],
        "tokens": sample.model_usage["messages:some"].total_tokens,
    } for sample in log.samples},
}))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return make_home(tmp_path_factory.mktemp("inspect") / "home")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with the extra installed; its pins are not those of these tests."""
    place = tmp_path_factory.mktemp("extra") / "venv"
    uv = [str(Path(sys.executable).with_name("uv")), "--quiet"]
    own = place / "bin" / "python"
    into = [*uv, "pip", "install", "--python", str(own)]
    pinned = ["--requirement", str(ROOT / "requirements-inspect.txt")]
    for words in (
        [*uv, "venv", "--python", sys.executable, str(place)],
        [*into, *pinned],
        [*into, "--no-deps", str(ROOT)],
    ):
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"the extra cannot be installed here: {done.stderr[-300:]}")
    return own


@pytest.mark.registry
@pytest.mark.commands
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_inspect_reads_what_it_wrote_for_us(home: Home, python: Path, tmp_path: Path):
    words = ["report", "early", "--work-dir", str(home), "--export", str(tmp_path / "out")]
    cli = [str(python), "-m", "grindstone.flows.cli", *words, "--format", "inspect"]
    done = subprocess.run(cli, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    log = tmp_path / "out" / "inspect" / "early.eval"
    read = [str(python), "-c", READ, str(log)]
    found = json.loads(subprocess.run(read, capture_output=True, text=True, check=True).stdout)
    assert (found["status"], found["model"], found["task"]) == ("success", "messages:some", "grind")
    assert found["metrics"]["accuracy"] == 0.5
    assert set(found["samples"]) == {"sort-names", "add-up"}
    failed = found["samples"]["sort-names"]
    assert failed["score"] == 0.0
    assert failed["why"] == "1 of 2 tests passed; failed: test_sorted"
    assert failed["calls"][0] == {"command": "ls"}
    assert failed["results"][0] == "names.txt\n"
    assert failed["tokens"] == sum(1000 + index + 20 for index in range(2, 6))
    shutil.rmtree(tmp_path / "out")


@pytest.mark.slow
def test_without_the_extra_it_is_named(home: Home, tmp_path: Path):
    with pytest.raises(InputError, match=r"inspect_ai is not installed.*grindstone\[inspect\]"):
        export_run(Ledger(home), "early", tmp_path, ["inspect"])
    usual = export_run(Ledger(home), "early", tmp_path)
    assert {path.parent.name for path in usual} >= {"atif", "csv"}


def test_no_words_of_the_tests_are_in_it(home: Home):
    assert "AssertionError" not in json.dumps(log_documents(Ledger(home), "early"), default=str)
