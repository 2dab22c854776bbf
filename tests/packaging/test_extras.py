"""Parts that need an extra go without it, or name it."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from grindstone.errors import InputError
from grindstone.extras import EXTRAS, from_extra, has_extra

ROOT = Path(__file__).resolve().parents[2]
WITHOUT = """
import sys
for name in ("altair", "vl_convert", "asyncpg"):
    sys.modules[name] = None
"""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + code, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_table_is_what_the_project_declares() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = project["optional-dependencies"]
    assert all(has_extra(name) for name in EXTRAS if name != "inspect")  # a lock of its own
    for name, modules in EXTRAS.items():
        assert len(declared[name]) == len(modules)
    core = " ".join(project["dependencies"])
    assert not [
        module for name in ("plots", "postgres") for module in EXTRAS[name] if module in core
    ]


@pytest.mark.commands
def test_a_plot_that_is_asked_for_names_the_extra() -> None:
    done = run(
        "from grindstone.report.plots import Bar, bars_with_intervals, can_plot\n"
        "assert not can_plot()\n"
        "bars_with_intervals([Bar('a', 1.0)], 'title')\n"
    )
    assert "InputError: a plot: altair is not installed" in done.stderr
    assert "pip install 'grindstone[plots]'" in done.stderr


@pytest.mark.commands
def test_a_report_goes_without_plots(tmp_path: Path) -> None:
    done = run(
        "from pathlib import Path\n"
        "from grindstone.home import RunFolder\n"
        "from grindstone.ledger import Ledger\n"
        "from grindstone.ledger.tables.runs import EglRow, RunRow\n"
        "from grindstone.records import utc_now\n"
        "from grindstone.runs.progress import watching\n"
        "from grindstone.runs.report import write_report\n"
        "home = Path(sys.argv[1])\n"
        "ledger = Ledger(home)\n"
        "run = RunRow(run_key='r', sequence=0, kind='grind', status='completed', at=utc_now())\n"
        "egl = EglRow(run_key='r', index=0, new_skills=1, tasks_solved=1, cumulative_skills=1,\n"
        "             egl=1000.0, threshold=0.05, converged=False)\n"
        "for row in (run, egl):\n"
        "    ledger.append([row], run_key='r')\n"
        "with watching(lambda event: print(event.text)):\n"
        "    written = write_report(ledger, 'r', RunFolder(home / 'runs' / 'r'))\n"
        "assert written.images == {} and not written.report.incidents\n",
        str(tmp_path),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "No plots: pip install 'grindstone[plots]'"
    assert (tmp_path / "runs" / "r" / "report.md").is_file()


@pytest.mark.commands
def test_a_server_on_postgresql_names_the_extra(tmp_path: Path) -> None:
    done = run(
        "from grindstone.flows.cli import main\n"
        "sys.argv = ['grindstone', 'up', '--work-dir', sys.argv[1],\n"
        "            '--database-url', 'postgresql+asyncpg://me@localhost/x']\n"
        "main()\n",
        str(tmp_path),
    )
    assert done.returncode == 2
    assert "--database-url" in done.stderr
    assert "pip install 'grindstone[postgres]'" in done.stderr


def test_an_error_of_other_origin_is_let_through() -> None:
    with pytest.raises(ModuleNotFoundError), from_extra("plots", "a plot"):
        raise ModuleNotFoundError("gone", name="numpy")
    with pytest.raises(InputError, match="grindstone\\[plots\\]"), from_extra("plots", "a plot"):
        raise ModuleNotFoundError("gone", name="altair.vegalite")
