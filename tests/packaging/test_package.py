"""The wheel, installed away from the checkout, brings its command and what it bundles."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

pytestmark = pytest.mark.commands

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of an environment that has the wheel and none of the checkout."""
    folder = tmp_path_factory.mktemp("package")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv", with_pip=True)
    programs = folder / "venv" / "bin"
    subprocess.run(
        [str(programs / "pip"), "install", "--quiet", "--no-deps", "--no-index", str(wheel)],
        check=True,
    )
    return programs


def run(installed: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    # The dependencies are this environment's; a path of its own keeps .pth files, and with
    # them the editable checkout, out.
    environment = os.environ | {"PYTHONPATH": sysconfig.get_path("purelib")}
    return subprocess.run(
        [str(installed / "grindstone"), *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_lists_itself(installed: Path, tmp_path: Path):
    done = run(installed, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "grind" in done.stdout


def test_bundled_tasks_are_found_away_from_the_checkout(installed: Path, tmp_path: Path):
    done = run(installed, "doctor", "--json", cwd=tmp_path)
    if not json.loads(done.stdout)["can_run_tasks"]:
        pytest.skip("no sandbox on this machine")
    done = run(installed, "check", "--task-ids", "plain-inventory", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (reports,) = json.loads(done.stdout)["reports"].values()
    assert [report["task_id"] for report in reports] == ["plain-inventory"]


def test_the_wheel_holds_what_the_code_reads(installed: Path):
    packages = next(installed.parent.glob("lib/python*/site-packages"))
    for name in (
        "grindstone/_bundled/seed_workspaces/skillbench/manifest.yaml",
        "grindstone/_bundled/seed_workspaces/terminal/manifest.yaml",
        "grindstone/_bundled/examples/tasks/branch-sales/task.toml",
        "grindstone/_bundled/prefect.yaml",
        "grindstone/agents/prompts/system.md",
        "grindstone/sandbox/docker/seccomp.json",
        "grindstone/py.typed",
    ):
        assert (packages / name).is_file(), name


@pytest.fixture
def own_project(tmp_path: Path) -> Path:
    """A folder with flows, tasks and blocks of its user's own, as Prefect and Celery have them."""
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "__init__.py").touch()
    (tmp_path / "tasks.py").write_text("MINE = True\n")
    (tmp_path / "blocks.py").write_text("MINE = True\n")
    (tmp_path / "script.py").write_text(
        "import flows, tasks, blocks\n"
        "from grindstone.flows.evolver import SkillBenchEvolver\n"
        "assert tasks.MINE and blocks.MINE and not hasattr(flows, 'grind')\n"
        "print(SkillBenchEvolver.__module__)\n"
    )
    return tmp_path


@pytest.mark.parametrize("origin", ["wheel", "editable"])
def test_a_project_keeps_its_own_flows_and_tasks(origin: str, installed: Path, own_project: Path):
    python = installed / "python" if origin == "wheel" else Path(sys.executable)
    path = sysconfig.get_path("purelib") if origin == "wheel" else ""
    done = subprocess.run(
        [str(python), "script.py"],
        cwd=own_project,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "grindstone.flows.evolver", done.stderr
    command = installed if origin == "wheel" else Path(sys.executable).parent
    done = subprocess.run(
        [str(command / "grindstone"), "doctor", "--json"],
        cwd=own_project,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(own_project), path]))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(done.stdout), done.stderr
