"""Files that the viewer hands out, read back."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from support.atif_shape import AtifTrajectory

from grindstone.home import Home
from grindstone.view.app import viewer_app
from grindstone.view.site import Site

LOGIN = {"Authorization": "Basic YWRtaW46c2VjcmV0"}


def test_a_run_is_downloaded_with_the_login_alone(home: Home):
    client = TestClient(viewer_app(Site(home), LOGIN["Authorization"]))
    place = "/api/run/early/download/"
    assert client.get(f"{place}atif").status_code == 401
    answer = client.get(f"{place}atif", headers=LOGIN)
    assert answer.headers["content-disposition"].endswith("''early.atif.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        found = [AtifTrajectory.model_validate_json(archive.read(n)) for n in archive.namelist()]
    assert len(found) == 2
    answer = client.get(f"{place}json", headers=LOGIN)
    assert json.loads(answer.content)["run_key"] == "early"
    missing = client.get(f"{place}inspect", headers=LOGIN)
    assert missing.status_code == 404 and "grindstone[inspect]" in missing.json()["problem"]
    assert "no format" in client.get(f"{place}pdf", headers=LOGIN).json()["problem"]


@pytest.mark.browser
@pytest.mark.commands
@pytest.mark.timeout(180)
def test_a_button_keeps_the_file(viewer: Any, tmp_path: Path) -> None:
    page = viewer.open("/run/early")
    with page.expect_download() as kept:
        page.get_by_role("button", name="Trajectories (ATIF)").click()
    assert kept.value.suggested_filename == "early.atif.zip"
    kept.value.save_as(tmp_path / "kept.zip")
    assert len(zipfile.ZipFile(tmp_path / "kept.zip").namelist()) == 2
    page.get_by_role("button", name="Inspect log").click()
    page.get_by_text("inspect_ai is not installed").wait_for()
