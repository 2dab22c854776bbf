"""Machines whose clocks are an hour from the storage's own."""

from collections.abc import Iterator

import pytest
from support.object_storage import Bucket, GoTo, serving_s3
from support.skewed_clock import cannot_skew, skewed

from grindstone.resources import bundled
from grindstone.runs.elsewhere import bring_here, show_elsewhere
from grindstone.workspace import Workspace

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(cannot_skew()), reason=cannot_skew())]


@pytest.fixture(scope="module", params=[-3600, 3600], ids=["behind", "ahead"])
def s3(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bucket]:
    folder = tmp_path_factory.mktemp("s3")
    with serving_s3(folder, skewed(folder, request.param)) as bucket:
        yield bucket


def test_what_machines_log_beside_the_history_stays(home_at: GoTo):
    seed = bundled("seed_workspaces/skillbench")
    places = [home_at(name).workspace("ann") for name in ("one", "two")]
    for number in range(6):
        workspace = Workspace.create(places[number % 2], seed)
        workspace.write_observation(f"seen {number}", [{"number": number}])
    last = Workspace.create(home_at("three").workspace("ann"), seed)
    assert [row["number"] for row in last.recent_observations()] == [*range(6)]
    assert last.current_observation() == "seen 5"


def test_a_report_that_another_machine_wrote_since_is_the_one_that_is_shown(home_at: GoTo):
    one, two = home_at("one"), home_at("two")
    for number, home in enumerate((one, two, one, two)):
        bring_here(home, "r")
        report = home.run("r").root / "report.md"
        if number:
            assert report.read_text() == str(number - 1)
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(str(number))
        show_elsewhere(home, "r")
