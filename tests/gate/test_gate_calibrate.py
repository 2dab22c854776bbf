"""Calibrating the gate, and its commands' answers to bad input."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import GateDecisionRow
from grindstone.records import Episode
from grindstone.settings import CalibrateSettings

pytestmark = pytest.mark.catalogue(of="gates")

TASKS = ["crlf-kit", "errors-by-hour", "ledger-package", "plain-inventory", "visitor-report"]


@pytest.mark.server
@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_same_state_twice_is_never_told_apart_and_a_handicap_is(
    tmp_path: Path, prefect_server: str
):
    from grindstone.flows.calibrate import calibrate

    done = await calibrate(
        CalibrateSettings(
            work_dir=tmp_path,
            task_ids=TASKS,
            native_profile="oracle",
            model_id="rehearsal",
            max_workers=4,
            repeats=1,
            handicap=1.0,
            run_key="cal",
        )
    )
    assert done.holds
    rules = {each.rule: each for each in done.rules}
    assert rules["no_regression"].same.rejects.count == 0
    assert rules["improvement"].same.accepts.count == 0
    assert rules["no_regression"].handicapped.rejects.count == 1, "all five tasks are worse"
    assert rules["no_regression"].handicapped.kind == "A/B"
    assert rules["no_regression"].same.rejects.high > 0.9, "one gate proves little"
    ledger = Ledger(tmp_path)
    rows = {row.gate_id: row for row in ledger.rows(GateDecisionRow, "cal")}
    assert set(rows) == {"same-1", "handicapped-1"}
    assert rows["handicapped-1"].losses == len(TASKS)
    profiles = [row.profile for row in ledger.rows(Episode, "cal")]
    assert sorted(profiles) == ["nop"] * 5 + ["oracle"] * 10
    assert "A/A" not in (done.folder / "calibration.md").read_text()
    assert "1 of 1 = 100%" in (done.folder / "calibration.md").read_text()


@pytest.mark.commands
@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["gate", "run", "--gate-alpha", "2"], "--gate-alpha"),
        (["gate", "run", "--gate-rule", "luck"], "no_regression"),
        (["gate", "calibrate", "--repeats", "0"], "--repeats"),
        (["adapt", "--holdout-ratio", "1"], "--holdout-ratio"),
        (["adapt", "--prompt-only", "true", "--evolve-prompts", "false"], "prompt-only"),
    ],
)
def test_bad_input_is_told_with_the_flag_and_exit_code_2(
    tmp_path: Path, command: list[str], said: str
):
    done = subprocess.run(
        [sys.executable, "-m", "grindstone.flows.cli", *command],
        cwd=Path(__file__).resolve().parents[2],
        env=os.environ | {"GRINDSTONE_WORK_DIR": str(tmp_path), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert not list(tmp_path.iterdir())
