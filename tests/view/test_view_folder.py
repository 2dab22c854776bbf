"""A run as a folder of pages, opened from the disk: no server, nothing of other runs."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.browsing import browsing
from support.viewer_home import AGENT, HOSTILE, SKILL

from grindstone.home import Home
from grindstone.settings import FeedbackLevel
from grindstone.view.folder import write_folder
from grindstone.view.site import Site
from grindstone.workspace import Workspace

pytestmark = [pytest.mark.browser, pytest.mark.commands]


def report(home: Any, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "grindstone.flows.cli", "report", *map(str, arguments)]
    return subprocess.run(
        [*command, "--work-dir", str(home)], capture_output=True, text=True, check=False
    )


def everything(folder: Path) -> str:
    return "\n".join(path.read_text("utf-8") for path in folder.rglob("*") if path.is_file())


def test_it_is_read_without_a_server(home: Any, chromium: str, tmp_path: Path) -> None:
    folder = tmp_path / "pages"
    for _ in range(2):  # a folder of ours is written anew
        done = report(home, "early", "--html", folder)
        assert done.returncode == 0, done.stderr
    text = everything(folder)
    assert "sort-names-late" not in text
    assert "zoe before adam" not in text  # the verifier's words quote tests

    asked: list[str] = []
    with browsing(chromium) as page:
        page.set_default_timeout(20_000)
        page.on("request", lambda request: asked.append(request.url))
        page.goto((folder / "index.html").as_uri())
        page.get_by_role("link", name="early").click()
        page.get_by_role("button", name="outcome:failed").click()
        page.get_by_role("link", name="sort-names").click()
        page.get_by_text("✗ test_sorted failed").wait_for()
        page.locator("#turn-3 pre.gave", has_text="window.hacked").wait_for()
        assert HOSTILE in page.inner_text("#turn-3")
        assert page.evaluate("window.hacked") is None
        page.get_by_role("link", name="Skills").click()
        page.get_by_role("link", name="mend-names").click()
        page.get_by_role("heading", name="History").wait_for()
        page.get_by_role("link", name="Report").click()
        page.get_by_text("1 of 2 tasks passed").first.wait_for()
    assert asked
    assert all(url.startswith(("file:", "data:", "blob:")) for url in asked), asked


def test_it_lists_the_runs_own_skills_alone(home: Home, tmp_path: Path) -> None:
    """What it lists it has a page for; a skill that the run was not offered is none of its."""
    mine = Home.at(shutil.copytree(home.root, tmp_path / "home"))
    own, other = Workspace.open(mine.workspace(AGENT)), mine.workspace("accountant")
    for workspace, skill in ((own, "unseen"), (Workspace.create(other, own.root), "tax-trick")):
        with workspace.writing() as root:
            (root / "skills" / skill).mkdir(parents=True)
            text = f"---\nname: {skill}\ndescription: The secret of {skill}.\n---\n\nDo.\n"
            (root / "skills" / skill / "SKILL.md").write_text(text)
            workspace.commit_evolution(None, f"added {skill}")
    everyones = Site(mine).document("skills").decode()
    assert "secret of unseen" in everyones
    assert "secret of tax-trick" in everyones

    pages = tmp_path / "pages"
    write_folder(mine, ("early",), pages, level=FeedbackLevel.TESTS)
    assert "secret of" not in everything(pages)
    assert "accountant" not in everything(pages)
    files = json.loads((pages / "folder.js").read_text().partition(" = ")[2].rstrip(";\n"))["files"]
    listing = (pages / "data" / f"{files['skills']}.js").read_text().partition(", ")[2]
    [agent] = json.loads(listing.rstrip(");\n"))["agents"]
    listed = [f"skill/{agent['agent_id']}/{each['skill']}" for each in agent["skills"]]
    assert listed == [f"skill/{AGENT}/{SKILL}"]
    assert set(listed) <= set(files)


def test_it_holds_the_verifiers_words_when_asked_to(home: Any, tmp_path: Path) -> None:
    assert report(home, "early", "--html", tmp_path / "told", "--words").returncode == 0
    assert "zoe before adam" in everything(tmp_path / "told")


def test_nothing_of_others_is_overwritten(home: Any, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "index.html").write_text("mine")
    done = report(home, "early", "--html", folder)
    assert done.returncode == 2
    assert f"{folder}: holds something else; expected a new or empty folder" in done.stderr
    assert everything(folder) == "mine"
