"""A home of strangers names runs, tasks and agents as paths: nothing outside is read or written."""

from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient
from support.viewer_home import START, command, conversation, keep_attempt, keep_state

from grindstone.errors import GrindstoneError
from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.ledger.tables.runs import RunRow
from grindstone.report.exports import export_run
from grindstone.steering import Order, give_order
from grindstone.view.app import viewer_app
from grindstone.view.site import Site

OUT = ("../../../out", "a/../../../../out", "/{tmp}/out", "..", ".", "out\0", "x" * 250)
NAMES = {name[:20] or "empty": name for name in OUT}
LOGIN = {"Authorization": "Basic YWRtaW46c2VjcmV0"}


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def strangers(tmp: Path, run_key: str, task: str) -> Ledger:
    """A home of one run with one attempt; written past our own checks, as a stranger would."""
    ledger = Ledger(Home.at(tmp / "homes" / "of" / "strangers"))
    keep_attempt(
        ledger, run_key, task, conversation("it", [command(2, "ls", "x\n")]), passed=False, minute=1
    )
    keep_state(ledger, run_key, "running", day=1)
    return ledger


@pytest.mark.parametrize("form", ["atif", "json", "csv"])
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_an_export_writes_below_its_folder(name: str, form: str, tmp_path: Path) -> None:
    ledger = strangers(tmp_path, "run", name.format(tmp=tmp_path))
    before = files_of(tmp_path)
    written = export_run(ledger, "run", tmp_path / "export" / "to", [form])
    assert written
    assert all(path.is_relative_to(tmp_path / "export" / "to") for path in written)
    assert all(new.startswith("export") for new in files_of(tmp_path) - before)


@pytest.mark.parametrize("name", ["../../../out", "a/b", "/{tmp}/out"])
def test_a_runs_key_that_is_a_path_is_no_run(name: str, tmp_path: Path) -> None:
    name = name.format(tmp=tmp_path)
    ledger = strangers(tmp_path, "run", "task")
    row = RunRow(
        run_key=name, sequence=0, kind="grind", status="running", agent_id="ada",
        model="rehearsal", rehearsal=True, n_tasks=1, at=START,
    )  # fmt: skip
    ledger.append([row], run_key=name)
    before = files_of(tmp_path)
    client = TestClient(viewer_app(Site(ledger.home), LOGIN["Authorization"]))
    runs = client.get("/api/runs", headers=LOGIN)
    assert runs.status_code == 200
    assert [run["run_key"] for run in runs.json()["runs"]] == ["run"]
    headers = LOGIN | {"Content-Type": "application/json"}
    place_of = f"/api/run/{quote(name, safe='')}/orders"
    answer = client.post(place_of, content='{"paused": true}', headers=headers)
    assert answer.status_code in {404, 405, 409}
    new = files_of(tmp_path) - before
    assert all(each.startswith("homes/of/strangers/") for each in new), new


OF_A_HOME: dict[str, Callable[[Home, str], object]] = {
    "a run": lambda home, name: give_order(home.run(name), Order(paused=True), by="x", via="cli"),
    "a workspace": lambda home, name: home.workspace(name),
    "a turn": lambda home, name: home.turn(name),
    "an attempt": lambda home, name: home.run("run").attempt(name),
    "a log of commands": lambda home, name: home.run("run").command_log(name),
}


@pytest.mark.parametrize("ask", OF_A_HOME.values(), ids=OF_A_HOME)
@pytest.mark.parametrize("name", ["../out", "..", ".", "", "a/b", "/out", "a\0"])
def test_a_place_of_a_home_is_below_it(
    ask: Callable[..., object], name: str, tmp_path: Path
) -> None:
    with pytest.raises(GrindstoneError, match="name"):
        ask(Home.at(tmp_path / "home"), name)
    assert files_of(tmp_path) <= {"home"}
