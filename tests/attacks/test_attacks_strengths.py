"""What each strength of the boundary holds: by another runtime, and without root."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import docker
import pytest
from support.sandboxes import IMAGES

from grindstone.errors import InputError
from grindstone.sandbox import StartSpec, open_provider, probe

HERE = Path(__file__).resolve().parent
USER = 12345
"""Whoever it is: it has no name, no home and no subordinate ids here."""


@pytest.mark.docker
async def test_a_runtime_that_the_engine_has_runs_the_sandbox() -> None:
    provider = await open_provider("docker", "runc")
    sandbox = await provider.start(StartSpec(image=IMAGES["docker"], name="runtime"))
    client = docker.from_env()
    found = client.containers.get(sandbox.container)  # type: ignore[attr-defined]
    assert found.attrs["HostConfig"]["Runtime"] == "runc"
    client.close()
    await sandbox.close()
    await provider.close()


@pytest.mark.docker
async def test_a_runtime_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(InputError, match=r"the engine has no 'runq'; expected .*runc"):
        await open_provider("docker", "runq")
    assert "runc" in probe().engine("docker").detail


@pytest.mark.bubblewrap
async def test_bubblewrap_has_no_runtimes() -> None:
    with pytest.raises(InputError, match="bubblewrap has no 'runsc'"):
        await open_provider("bubblewrap", "runsc")


@pytest.mark.bubblewrap
async def test_what_is_not_held_is_told() -> None:
    provider = await open_provider("bubblewrap")
    if os.geteuid() != 0:
        assert "memory and processors" in provider.not_held[0]
    await provider.close()


def _python() -> list[str]:
    """Return a Python that an ordinary user can execute, with this one's packages."""
    trial = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    packages = [path for path in sys.path if path.endswith("site-packages")]
    for python in (sys.executable, "/usr/bin/python3"):
        code = f"import sys; sys.path[:0] = {packages!r}; import pydantic_core, grindstone.sandbox"
        done = subprocess.run(
            [*trial, python, "-c", code], cwd=HERE.parents[1], capture_output=True, check=False
        )
        if done.returncode == 0:
            return [*trial, python]
    pytest.skip("no Python here that an ordinary user can execute")


@pytest.mark.bubblewrap
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(os.geteuid() != 0, reason="these tests are run by an ordinary user already")
def test_process_1_and_the_runner_hold_for_an_ordinary_user(tmp_path: Path) -> None:
    if shutil.which("setpriv") is None:
        pytest.skip("no setpriv")
    python = _python()
    home = Path("/tmp") / f"grindstone-{os.getpid()}"
    home.mkdir(mode=0o777)
    home.chmod(0o777)
    environment = {
        **{name: value for name, value in os.environ.items() if "CERT" in name or name == "PATH"},
        "HOME": str(home),
        "TMPDIR": str(home),
        "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), *(p for p in sys.path if p)]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [*python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    files = [str(HERE / "test_attacks_process_1.py"), str(HERE / "test_attacks_strengths.py")]
    done = subprocess.run(
        [*command, "-k", "bubblewrap or not_held", *files],
        cwd=HERE.parents[1],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    shutil.rmtree(home, ignore_errors=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= 30, done.stdout[-3000:]
