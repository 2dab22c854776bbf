"""Runs listed and held against each other, and attempts found among many."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from grindstone.flows.cli import run_command
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import RunRow
from grindstone.llm import CallRecord
from grindstone.records import Episode, Outcome, Purpose, Role, Usage, utc_now
from grindstone.report.markdown import render_markdown
from grindstone.report.run_diff import diff_runs
from grindstone.report.run_report import build_report
from grindstone.resources import bundled
from grindstone.view.runs import run_document
from grindstone.workspace import Workspace

pytestmark = pytest.mark.commands
SKILL = "---\nname: mend-it\ndescription: Mend it when it breaks.\n---\n\nLook first.\n"


def an_episode(run_key: str, task: str, commit: str, **changes: Any) -> Episode:
    now = utc_now()
    told: dict[str, Any] = {
        "episode_id": f"{task}-{run_key}",
        "run_key": run_key,
        "agent_id": "ann",
        "purpose": Purpose.GRIND,
        "task_id": task,
        "category": "git",
        "workspace_commit": commit,
        "cycle": 1,
        "outcome": Outcome.PASSED,
        "reward": 1.0,
        "score": 1.0,
        "cost_usd": 0.25,
        "usage": Usage(input_tokens=1_000),
        "started_at": now,
        "ended_at": now + timedelta(seconds=2),
    }
    return Episode.model_validate(told | changes)


def a_state(run_key: str, sequence: int, status: str) -> RunRow:
    return RunRow(
        run_key=run_key,
        sequence=sequence,
        kind="grind",
        status=status,
        agent_id="ann",
        model="messages:some",
        n_tasks=3,
        at=utc_now(),
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two runs of an agent, between which it learned a skill: one task lost, one gained."""
    home = tmp_path / "home"
    workspace = Workspace.create(
        Home(home).workspace("ann"), bundled("seed_workspaces") / "skillbench"
    )
    ledger = Ledger(home)
    for key, outcomes in (
        ("first", {"git-a": Outcome.FAILED, "git-b": Outcome.PASSED, "web-c": Outcome.PASSED}),
        ("second", {"git-a": Outcome.PASSED, "git-b": Outcome.FAILED, "web-c": Outcome.PASSED}),
    ):
        commit = workspace.snapshot().commit
        rows = [
            an_episode(
                key,
                task,
                commit,
                outcome=outcome,
                reward=float(outcome is Outcome.PASSED),
                cost_usd=1.5 if task == "git-a" else 0.25,
                category=task.partition("-")[0],
            )
            for task, outcome in outcomes.items()
        ]
        ledger.append([a_state(key, 0, "running")], run_key=key)
        ledger.append(rows, run_key=key)
        ledger.append([a_state(key, 1, "completed")], run_key=key)
        if key == "first":
            with workspace.writing() as root:
                (root / "skills" / "mend-it").mkdir(parents=True)
                (root / "skills" / "mend-it" / "SKILL.md").write_text(SKILL)
                workspace.commit_evolution(1, "added mend-it", step="s")
    return home


def test_runs_are_listed_with_how_they_went(home: Path, command: Callable[..., Any]):
    done = command("runs", "--work-dir", home, "--json")
    assert done.code == 0, done.err
    assert [(line["run_key"], line["passed"], line["attempts"]) for line in done.document] == [
        ("first", 2, 3),
        ("second", 2, 3),
    ]
    assert {line["status"] for line in done.document} == {"completed"}
    assert command("runs", "--work-dir", home, "--agent-id", "b*", "--json").document == []
    text = command("runs", "--work-dir", home, "--status", "comp*").out
    [head, *lines] = text.splitlines()
    assert head.index("started (UTC)") == lines[0].index(f"{utc_now():%Y-}")
    assert [line.split()[0] for line in lines] == ["first", "second"]


def test_times_are_told_in_utc_by_every_list(
    command: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = datetime(2026, 3, 1, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    late = an_episode("late", "git-a", "c", started_at=at, ended_at=at, episode_id="late")
    states = [a_state("late", n, status) for n, status in enumerate(("running", "completed"))]
    ledger = Ledger(home)
    ledger.append([late], run_key="late")
    ledger.append([each.model_copy(update={"at": at}) for each in states], run_key="late")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        place = ("--work-dir", str(home))
        for words in (("runs",), ("episodes", "--run-key", "late"), ("episodes", "late")):
            [head, *lines] = command(*words, *place).out.splitlines()
            line = next(each for each in lines if "late" in each)
            assert line.index("2026-03-02 04:30") == head.index("started (UTC)"), words
        [told] = command("episodes", "--run-key", "late", *place, "--json").document
        assert datetime.fromisoformat(told["started_at"]) == at, "with its offset"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("rehearsal", "cost_usd", "tokens", "told"),
    [
        (True, None, 1_000, "nothing"),
        (True, 0.46, 1_000, "$0.4600"),
        (False, None, 1_000, "price unknown"),
        (False, 0.25, 1_000, "$0.2500"),
        (False, 0.0, 0, "nothing"),
    ],
)
def test_what_a_run_cost_is_one_sentence_everywhere(
    command: Any, tmp_path: Path, rehearsal: bool, cost_usd: float | None, tokens: int, told: str
) -> None:
    """In both lists, the report, the diff's side, and what the viewer shows."""
    ledger = Ledger(tmp_path)
    how = {"rehearsal": rehearsal, "cost_usd": cost_usd, "usage": Usage(input_tokens=tokens)}
    for key in ("one", "other"):
        row = an_episode(key, "git-a", "c", **how)
        states = [a_state(key, n, status) for n, status in enumerate(("running", "completed"))]
        ledger.append(
            [each.model_copy(update={"rehearsal": rehearsal}) for each in states], run_key=key
        )
        ledger.append([row], run_key=key)
        if tokens:
            call = CallRecord(
                call_id=key,
                run_key=key,
                role=Role.SOLVER,
                scope=row.episode_id,
                turn=0,
                task_id="git-a",
                model="some",
                provider="messages",
                usage=row.usage,
                cost_usd=cost_usd,
                rehearsal=rehearsal,
                started_at=row.started_at,
                duration_s=1.0,
            )
            ledger.append([call], run_key=key)
    place = ("--work-dir", str(tmp_path))
    assert told in command("runs", *place).out.splitlines()[1]
    assert told in command("episodes", "--run-key", "one", *place).out.splitlines()[1]
    assert f"| Cost | {told}" in render_markdown(build_report(ledger, "one"))
    found = run_document(ledger, "one")
    assert told in found.run.cost
    assert [line.cost for line in found.attempts] == [told]
    [task] = diff_runs(ledger, "one", "other").tasks
    assert task.before is not None
    assert told in task.before.cost


def test_two_runs_differ_by_the_tasks_that_flipped_and_the_skill_between(
    home: Path, command: Callable[..., Any]
):
    done = command("diff", "fir", "sec", "--work-dir", home)
    assert done.code == 0, done.err
    assert "✓ passes now  git-a" in done.out
    assert "✗ fails now   git-b" in done.out
    assert "1 of 3 tasks did not flip" in done.out
    assert "evo-1" in done.out
    assert "+name: mend-it" in done.out
    document = json.loads(command("diff", "first", "second", "--work-dir", home, "--json").out)
    assert (document["gained"], document["lost"]) == (["git-a"], ["git-b"])


def test_a_run_is_named_by_the_start_of_its_key_and_nothing_else(
    home: Path, command: Callable[..., Any]
):
    assert command("report", "seco", "--work-dir", home).code == 0
    wrong = command("report", "third", "--work-dir", home)
    assert wrong.code == 2
    assert "third: is no run of this home; expected one of its runs (first, second)" in wrong.err
    Ledger(home).append([a_state("first-again", 0, "running")], run_key="first-again")
    assert command("report", "first", "--work-dir", home).code == 0, "a whole key is a key"
    several = command("report", "fir", "--work-dir", home)
    assert several.code == 2
    assert "fits 2 runs (first, first-again)" in several.err


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--failed"], ["git-a-first", "git-b-second"]),
        (["--outcome", "passed", "--task", "git-*"], ["git-b-first", "git-a-second"]),
        (["--category", "web", "--run-key", "sec"], ["web-c-second"]),
        (["--sort", "cost", "--limit", "2"], ["git-a-first", "git-a-second"]),
    ],
    ids=" ".join,
)
def test_attempts_are_found_among_many(
    home: Path, command: Callable[..., Any], options: list[str], found: list[str]
):
    done = command("episodes", "--work-dir", home, "--json", *options)
    assert done.code == 0, done.err
    assert [row["episode_id"] for row in done.document] == found


def test_steps_that_are_no_span_are_refused(home: Path, command: Callable[..., Any]):
    done = command("episodes", "git-a-first", "--steps", "3-9", "--work-dir", home)
    assert done.code == 2
    assert "--steps: is '3-9'; expected numbers of steps, such as 3:9, 3: or 7" in done.err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "diff first@cycle-9 second",
            "first@cycle-9: the run has no attempts in cycle-9; expected",
        ),
        ("diff first second@cycle-9", "one of its parts (second@cycle-1)"),
        ("diff first@with second", "the run has no attempts in with"),
        ("diff first@cycle-1 second@nothing", "second@nothing: has no part 'nothing'"),
        ("view first@cycle-9 second --no-open", "the run has no attempts in cycle-9"),
        ("episodes nosuch", "episode_id: names no attempt: 'nosuch'"),
        (
            "episodes git-a-first --steps 90:99",
            "--steps: names no step of the attempt: it has none",
        ),
        ("episodes --agent-id bob", "--agent-id: 'bob' is no agent of"),
        ("skills list --agent-id bob", "expected one of those (ann)"),
        ("skills history --agent-id bob", "expected one of those (ann)"),
        ("skills rollback evo-1 --agent-id bob", "expected one of those (ann)"),
        ("skills rollback evo-9 --agent-id ann", "an evolution (evo-1)"),
        ("skills show mend-at --agent-id ann", "the name of a skill (data-formats, "),
    ],
)
def test_what_is_not_there_is_wrong_input_that_names_what_is(
    home: Path,
    line: str,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(sys, "argv", ["grindstone", *line.split(), "--work-dir", str(home)])
    code = run_command()
    shown = capsys.readouterr()
    assert (code, shown.out) == (2, ""), shown
    assert said in shown.err


def test_an_empty_list_says_what_there_would_be(home: Path, command: Callable[..., Any]):
    done = command("runs", "--kind", "gate", "--work-dir", home)
    assert done.code == 0
    assert done.out == "No run is like that. Agents: ann; kinds: grind; statuses: completed.\n"
    assert re.fullmatch(r"No run yet in /\S+/evolution_workdir\.\n", command("runs").out)
    none = command("episodes", "--task", "nosuch*", "--work-dir", home)
    assert (none.code, none.out) == (0, "No attempt is like that.\n")


def test_the_version_is_told(command: Callable[..., Any]):
    from importlib.metadata import version

    assert command("--version").out == f"grindstone {version('grindstone')}\n"


HEAVY = {"prefect", "anthropic", "altair", "vl_convert", "sqlalchemy", "fastapi", "uvicorn"}
IN_TURN = """
import json, sys
from grindstone.flows import cli
came = []
for command in json.loads(sys.argv[1]):
    sys.argv = ["grindstone", *command]
    code = cli.run_command()
    came.append([command[0], code, sorted(name for name in sys.modules if "." not in name)])
sys.stderr.write("\\n" + json.dumps(came))
"""


def test_who_looks_on_waits_for_neither_prefect_nor_an_sdk(home: Path, tmp_path: Path):
    there = ("--work-dir", str(home))
    commands = [
        ("--version",),
        ("--help",),
        ("grind", "--help"),
        ("runs", *there),
        ("diff", "first", "second", *there),
        ("episodes", "--failed", *there),
        ("report", "first", *there),
        ("skills", "list", "--agent-id", "ann", *there),
        ("audit", "verify", *there),
        ("check", "--tasks-dir", str(tmp_path)),  # which holds none
    ]
    done = subprocess.run(
        [sys.executable, "-c", IN_TURN, json.dumps(commands)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    came = json.loads(done.stderr.splitlines()[-1])
    assert [name for name, _, _ in came] == [command[0] for command in commands]
    assert {name: code for name, code, _ in came if code} == {"check": 2}, done.stderr
    assert {name: found for name, _, loaded in came if (found := HEAVY & set(loaded))} == {}


def test_a_narrow_terminal_breaks_names_and_drops_none(home: Path):
    parent, child = os.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "grindstone.flows.cli", "report", "first", "--work-dir", str(home)],
        env=os.environ | {"COLUMNS": "40", "NO_COLOR": "1"},
        stdout=child,
        check=False,
        timeout=60,
    )
    os.close(child)
    shown = b""
    with contextlib.suppress(OSError):  # the terminal's other end is gone
        while piece := os.read(parent, 65_536):
            shown += piece
    os.close(parent)
    assert done.returncode == 0
    assert "Verdicts" in shown.decode()
    assert "…" not in shown.decode()


def test_a_run_whose_row_is_gone_is_told_from_one_that_never_was(
    tmp_path: Path, command: Callable[..., Any]
):
    Ledger(tmp_path).append([an_episode("lost", "crlf-kit", "c")], run_key="lost")
    for words in ("report lost", "episodes --run-key lost"):
        done = command(*words.split(), "--work-dir", str(tmp_path))
        assert done.code == 2
        assert "lost: has left its traces here, and no row in the ledger's table runs" in done.err
        assert f"{tmp_path / 'ledger' / 'runs'} put back" in done.err
        assert "--run-key lost" in done.err
