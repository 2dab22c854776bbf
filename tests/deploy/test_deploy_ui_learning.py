"""What `adapt` and `compete` leave in the Prefect UI, read in a browser."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.browsing import follow, read, shoot, shown_images

from grindstone.resources import bundled

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [
    pytest.mark.browser,
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

BUILDS = ("crlf-kit", "visitor-report", "ledger-package")
FAILED = "branch-sales"
CATEGORY = "data-formats"  # of that one
AGENT = "reader"
SEED = str(bundled("seed_workspaces") / "terminal")


@pytest.fixture(scope="module")
def ran(up: Any) -> None:
    """An attempt that fails, an adaptive run, and a scoring run on what both left in the ledger."""
    common = ("--work-dir", str(up.home), "--agent-id", AGENT, "--model-id", "rehearsal")
    still = ("--max-cycles", "1", "--evolve-skills", "false")
    unlearned = (*still, "--task-skill-mode", "off", "--success-mode", "off")
    for command, tasks in (
        (("grind", *unlearned, "--seed-workspace", SEED), (FAILED,)),
        (("adapt", "--max-cycles", "2", "--max-workers", "2"), BUILDS),
        (("compete", "--min-episodes", "1", "--train", "queue"), (*BUILDS, FAILED)),
    ):
        named = [word for task in tasks for word in ("--task-ids", task)]
        done = up.command(*command, *common, *named)
        assert done.returncode == 0, done.stderr


def open_newest(page: "Page", up: Any, key: str, expected: str) -> None:
    """Open the newest version of an artifact."""
    read(page, f"{up.ui}/artifacts/key/{key}", expected)
    page.locator("a[href*='/artifacts/artifact/']").first.click()
    page.get_by_text(expected).first.wait_for()


@pytest.mark.catalogue(of="pages of a run in the UI")
@pytest.mark.usefixtures("ran")
def test_an_adaptive_runs_report_and_its_pages(up: Any, page: "Page", screenshots: Path):
    open_newest(page, up, f"report-{AGENT}", "Rehearsal: ")
    text = shoot(page, screenshots / "adapt-report.png")
    for told in ("Gate", "while searching", "python2-era-builds", "judge"):
        assert told in text
    assert "data:image" not in text
    assert shown_images(page) >= 1

    report = page.url
    follow(page, "verdict table")
    page.get_by_text("skills it passed with").wait_for()
    text = shoot(page, screenshots / "adapt-verdicts.png")
    assert "✗ ✓" in text
    follow(page, "read it")
    page.get_by_text("passed: crlf-kit, cycle 2").first.wait_for()

    page.goto(report)
    follow(page, "EGL curve")
    page.get_by_role("heading", name=f"EGL of {AGENT}").wait_for()
    assert shown_images(page) == 1


@pytest.mark.catalogue(of="pages of a run in the UI")
@pytest.mark.usefixtures("ran")
def test_a_scoring_runs_domains_and_priorities(up: Any, page: "Page", screenshots: Path):
    open_newest(page, up, f"competency-{AGENT}", "Competency index")
    page.get_by_role("heading", name="What to train").wait_for()
    text = shoot(page, screenshots / "competency.png")
    for told in (f"weakest: {CATEGORY}", "queued", "Training"):
        assert told in text
    assert "data:image" not in text
    assert shown_images(page) == 2

    open_newest(page, up, f"priorities-{AGENT}", "Competency index")
    page.get_by_text("95% interval").wait_for()
    text = shoot(page, screenshots / "priorities.png")
    assert "legacy-build" in text
