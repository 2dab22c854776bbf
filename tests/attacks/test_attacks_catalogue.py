"""`check --cheat`: a task that can be forged is told from one that cannot.

`make test` tries some of the twelve bundled tasks, `make drills` all.
"""

from pathlib import Path

import pytest

from grindstone.benchmark import check_task, lint_task, load_task
from grindstone.benchmark.cheating import ways
from grindstone.benchmark.exposure import exposed_by
from grindstone.gate.exact import at_most
from grindstone.resources import bundled

LEAKY = """\
cd /app
timeout 5 bash build.sh
[ -e /logs/verifier/reward.txt ] || echo 0 > /logs/verifier/reward.txt
"""


def test_every_way_says_what_it_does():
    assert len(ways()) >= 11
    assert all(len(way.about) > 20 and way.script.startswith("# ") for way in ways())
    assert {way.name for way in ways() if way.conceded} == {"interpreter", "site-packages"}


@pytest.mark.catalogue(of="finding a leaky task")
@pytest.mark.slow
async def test_tests_that_run_the_agents_program_as_themselves_are_found(provider, tmp_path):
    files = {
        "instruction.md": "Write build.sh.\n",
        "task.toml": "[environment]\nallow_internet = false\n[verifier]\ntimeout_sec = 10\n",
        "environment/Dockerfile": "FROM debian:bookworm-slim\nWORKDIR /app\n",
        "tests/test.sh": LEAKY,
    }
    for name, text in files.items():
        (tmp_path / "leaky" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "leaky" / name).write_text(text)
    report = await check_task(load_task(Path(tmp_path / "leaky")), provider, cheat=True)
    assert not report.ok
    paying = {cheat.way for cheat in report.cheats if cheat.pays and not cheat.conceded}
    assert "own-programs" in paying
    assert "reward-files" not in paying
    assert any(found.rule == "runs-agents-programs" for found in report.findings)


BESIDE_KEPT = "curl localhost:8000\nsu nobody -c id\necho 0 > /logs/verifier/reward.txt\n"


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ("", True),
        ("[environment]\nkeep_processes = true\n", True),
        ("[environment]\nkeep_processes = false\n", False),
        ('[verifier]\nenvironment_mode = "separate"\n', False),
    ],
)
def test_tests_that_open_themselves_to_what_is_kept_are_found(tmp_path, toml, told):
    files = {
        "instruction.md": "Serve at port 8000.\n",
        "task.toml": toml,
        "environment/Dockerfile": "FROM debian:bookworm-slim\nWORKDIR /app\n",
        "tests/test.sh": BESIDE_KEPT,
    }
    for name, text in files.items():
        (tmp_path / "serving" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "serving" / name).write_text(text)
    task = load_task(tmp_path / "serving")
    assert task.exposed is told
    assert any(found.rule == "runs-beside-kept" for found in lint_task(task)) is told


THEIRS = {
    "make": "make -C /app test",
    "a repository's hooks and drivers": "git -C /app status --porcelain",
    "an environment of theirs": "source /app/venv/bin/activate",
    "the same by a point": ". .venv/bin/activate && true",
    "a runner of scripts": "uv run solve",
}
"""Lines of test.sh that run what the agent may have written."""


@pytest.mark.parametrize("line", THEIRS.values(), ids=THEIRS)
def test_lines_that_run_what_is_the_agents_are_found(tmp_path, line):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test.sh").write_text(f"set -e\n{line}\n")
    found = exposed_by(tmp_path, "nothing")
    assert found is not None
    assert found.line == line


OURS = (
    "source /tests/env.sh",
    ". /etc/os-release",
    "git clone https://host/x /tmp/x",
    "uv pip list",
    "source $HOME/.local/bin/env",
)


@pytest.mark.parametrize("line", OURS)
def test_lines_that_run_nothing_of_the_agents_are_not(tmp_path, line):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test.sh").write_text(f"set -e\n{line}\n")
    assert exposed_by(tmp_path, "nothing") is None


BUNDLED = sorted(folder.name for folder in bundled("examples/tasks").iterdir() if folder.is_dir())


@pytest.mark.catalogue(of="attacks in whole runs")
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("task_id", BUNDLED)
async def test_nothing_pays_at_a_bundled_task(provider, task_id):
    task = load_task(bundled("examples/tasks") / task_id)
    report = await check_task(task, provider, cheat=True)
    assert report.ok, [cheat for cheat in report.cheats if cheat.pays]
    assert {cheat.verifier for cheat in report.cheats} == {"shared", "separate"}


def test_none_of_fifty_is_at_most_six_in_a_hundred():
    assert at_most(0, 50) == pytest.approx(1 - 0.05 ** (1 / 50))
    assert at_most(0, 0) == 1
    assert at_most(3, 3) == 1
