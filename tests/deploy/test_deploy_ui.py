"""A grind started from the Prefect UI's form, and what is read there afterwards."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML
from support.browsing import choose_option, follow, group, read, shoot, shown_images

from grindstone.resources import bundled

if TYPE_CHECKING:
    from playwright.sync_api import Page

INTERNAL = {"slice", "train"}
ENTRIES = YAML(typ="safe", pure=True).load(bundled("prefect.yaml"))["deployments"]
FORMS = [entry["name"] for entry in ENTRIES if entry["name"] not in INTERNAL]
NEEDED = {"route": ["task"], "feedback": ["episode", "name"], "check-episode": ["agent_id"]}

pytestmark = [
    pytest.mark.browser,
    pytest.mark.server,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]


@pytest.fixture
def held(up: Any) -> Iterator[None]:
    """What is submitted waits, and is gone afterwards: no worker takes it."""
    up.patch("/work_pools/grindstone", {"is_paused": True})
    yield
    waiting = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
    for run in up.post("/flow_runs/filter", waiting):
        if not run["auto_scheduled"]:
            up.delete(f"/flow_runs/{run['id']}")
    up.patch("/work_pools/grindstone", {"is_paused": False})


@pytest.mark.catalogue
@pytest.mark.parametrize("name", FORMS)
def test_a_form_has_its_fields_and_submits_or_says_what_it_needs(
    up: Any, page: "Page", held: None, name: str, screenshots: Path
):
    deployment = up.deployment(name)
    page.goto(f"{up.ui}/v2/deployments/deployment/{deployment['id']}/run")
    submit = page.get_by_role("button", name="Submit")
    submit.wait_for()
    asked = deployment["parameter_openapi_schema"]["properties"]["settings"]["properties"]
    first = {field: asks for field, asks in asked.items() if "anyOf" not in asks}
    needed = NEEDED.get(name, [])
    assert len(first) >= 3
    for field, asks in first.items():
        label = asks["title"] if field in needed else f"{asks['title']} (Optional)"
        page.get_by_text(label, exact=True).first.wait_for()
    text = shoot(page, screenshots / f"form-{name}.png")
    assert 'type "None"' not in text
    drawn = "[...document.images].every(each => each.complete && each.naturalWidth)"
    page.wait_for_function(drawn)

    with page.expect_response(lambda answer: "create_flow_run" in answer.url) as created:
        submit.click()
    assert created.value.status == (409 if needed else 201)
    for field in needed:
        page.get_by_text(f"'{field}' is a required property", exact=True).wait_for()


@pytest.fixture(scope="module")
def grind_run(up: Any, page: "Page", screenshots: Path) -> dict[str, Any]:
    """A run of the grind deployment, started by filling in its form."""
    up.save_block("grindstone-model", "offline", {"model_id": "rehearsal"})
    page.goto(f"{up.ui}/v2/deployments/deployment/{up.deployment('grind')['id']}/run")
    page.get_by_text("At most this many tasks.").wait_for()
    text = page.inner_text("body")
    assert "Submit it as it is to grind the bundled example tasks" in text
    assert "How much verifier feedback the evolver sees." not in text
    assert 'type "None"' not in text
    shoot(page, screenshots / "form.png")

    page.get_by_label("Limit (Optional)").fill("1")
    learning = group(page, "How many tasks teach together")
    learning.get_by_role("tab", name="Change").click()
    learning.get_by_role("button", name="Select Feedback level").click()
    page.get_by_role("option", name="masked").click()
    choose_option(page, "Select a block", "offline")
    shoot(page, screenshots / "form-filled.png")

    with page.expect_response(lambda answer: "create_flow_run" in answer.url) as created:
        page.get_by_role("button", name="Submit").click()
    run: dict[str, Any] = up.finished(created.value.json()["id"])
    assert run["state_type"] == "COMPLETED", up.logs(run["id"])
    return run


def test_the_form_reaches_the_run_and_the_run_its_home(up: Any, grind_run: dict[str, Any]):
    from grindstone.ledger import Ledger
    from grindstone.ledger.tables.runs import RunRow

    settings = grind_run["parameters"]["settings"]
    assert settings["limit"] == 1
    assert settings["learning"]["feedback_level"] == "masked"
    assert grind_run["parameters"]["blocks"]["model"]["$ref"]["block_document_id"]
    assert settings["work_dir"] == str(up.home)
    rows = [row for row in Ledger(up.home).rows(RunRow) if row.agent_id == "skillbench"]
    assert rows[-1].status == "completed"
    assert rows[-1].settings["feedback_level"] == "masked"
    assert rows[-1].model == "rehearsal"
    # What the terminal is told stands in the run's log, and its attempts can be told apart.
    log = up.logs(grind_run["id"])
    assert "  ↳ evo-1: " in log
    assert "✗ " in log
    attempts = up.subflows(grind_run["id"])
    shown = {(run["name"][0], run["state_name"]) for run in attempts}
    assert shown == {("✗", "NotPassed"), ("✓", "Completed")}
    failed = up.logs(next(run["id"] for run in attempts if run["name"].startswith("✗")))
    assert "failed: 0/" in failed
    assert re.search(r"Why: trajectory-\S+, under Artifacts, or /grindstone/#/episode/\w+", failed)


@pytest.mark.catalogue(of="pages of a run in the UI")
def test_report_table_curve_and_trajectory_are_read_in_the_ui(
    up: Any, page: "Page", grind_run: dict[str, Any], screenshots: Path
):
    from grindstone.ledger import Ledger
    from grindstone.records import Episode

    rows = Ledger(up.home).rows(Episode)  # the home's other runs are of other agents
    task = next(row.task_id for row in rows if row.agent_id == "skillbench")
    found = "Rehearsal: 1 of 1 task passed; 1 needed grinding and 1 of them was resolved"
    read(page, f"{up.ui}/runs/flow-run/{grind_run['id']}", "Completed")
    shoot(page, screenshots / "run.png")

    read(page, f"{up.ui}/artifacts/key/report-skillbench", found)
    page.locator("a[href*='/artifacts/artifact/']").first.click()
    page.get_by_role("heading", name=found).wait_for()
    text = shoot(page, screenshots / "report.png")
    for heading in ("Verdicts", "What was learned", "Cost by role"):
        assert heading in text
    assert "data:image" not in text
    assert "<a id" not in text
    assert shown_images(page) >= 4

    report = page.url
    follow(page, task)
    page.get_by_text(f"passed: {task}, cycle 2").first.wait_for()
    text = shoot(page, screenshots / "trajectory.png")
    assert "5/5 tests" in text
    assert "skill offered" in text

    page.goto(report)
    follow(page, "verdict table")
    page.get_by_text("skills it passed with").wait_for()
    text = shoot(page, screenshots / "verdicts.png")
    assert task in text
    assert "✗ ✓" in text
    follow(page, "read it")
    page.get_by_text(f"passed: {task}, cycle 2").first.wait_for()

    page.goto(report)
    follow(page, "EGL curve")
    page.get_by_role("heading", name="EGL of skillbench").wait_for()
    text = shoot(page, screenshots / "egl.png")
    assert "New skills per thousand solved tasks" in text
    assert "data:image" not in text
    assert shown_images(page) == 1


@pytest.mark.catalogue(of="pages of a run in the UI")
def test_the_newer_ui_shows_the_same(
    up: Any, page: "Page", grind_run: dict[str, Any], screenshots: Path
):
    newest = {item["key"]: item["latest_id"] for item in up.post("/artifacts/latest/filter")}
    address = f"{up.ui}/v2/artifacts/artifact"
    text = read(page, f"{address}/{newest['report-skillbench']}", "What was learned")
    shoot(page, screenshots / "report-v2.png")
    assert "Rehearsal: 1 of 1 task passed" in text
    assert "data:image" not in text
    # Its links stay in the UI one reads in.
    assert (
        page.get_by_role("link", name="verdict table")
        .first.evaluate("a => a.href")
        .startswith(f"{address}/")
    )
    follow(page, "attempts that failed")
    page.get_by_text("NotPassed").wait_for()
    shoot(page, screenshots / "failed-attempts-v2.png")
    page.get_by_text("1 Flow run", exact=True).wait_for()
    read(page, f"{address}/{newest['verdicts-skillbench']}", "✗ ✓")
    assert "skills it passed with" in shoot(page, screenshots / "verdicts-v2.png")
    follow(page, "read it")
    page.get_by_text("passed: ").first.wait_for()
    assert page.url.startswith(f"{address}/")


def test_the_viewer_is_beside_it_under_the_same_login(
    up: Any, page: "Page", grind_run: dict[str, Any], screenshots: Path
):
    from grindstone.ledger import Ledger
    from grindstone.records import Episode

    rows = Ledger(up.home).rows(Episode)
    failed = next(
        row for row in rows if f"run:{row.run_key}" in grind_run["tags"] and not row.passed
    )
    read(page, f"{up.ui}/artifacts/key/report-skillbench", "1 of 1 task passed")
    page.locator("a[href*='/artifacts/artifact/']").first.click()
    page.get_by_role("link", name="viewer", exact=True).wait_for()
    follow(page, "viewer")
    page.get_by_role("heading", name="grind skillbench").wait_for()
    page.goto(f"{up.ui}/grindstone")
    page.get_by_role("link", name=failed.run_key).click()
    page.get_by_role("row", name="failed").get_by_role("link", name=failed.task_id).first.click()
    page.get_by_role("heading", name=f"failed: {failed.task_id}").wait_for()
    assert f"{failed.tests_passed}/{failed.tests_total} tests passed" in shoot(
        page, screenshots / "viewer.png"
    )
    # From both pages one gets back to Prefect's of the same.
    page.get_by_role("link", name="flow run", exact=True).click()
    page.get_by_text("✗ ").first.wait_for()
    [tried] = [run for run in up.subflows(grind_run["id"]) if run["state_name"] == "NotPassed"]
    assert page.url.startswith(f"{up.ui}/v2/runs/flow-run/{tried['id']}")
    page.goto(f"{up.ui}/grindstone/#/run/{failed.run_key}")
    page.get_by_role("link", name="flow run", exact=True).click()
    page.get_by_text(grind_run["name"]).first.wait_for()
    assert page.url.startswith(f"{up.ui}/v2/runs/flow-run/{grind_run['id']}")
    page.goto(f"{up.ui}/grindstone/#/episode/{failed.episode_id}")
    # The model's answer lies in the run's journal.
    page.locator(".turn.agent").first.get_by_role("button", name="Raw answer").click()
    page.locator(".turn.agent").first.get_by_text('"stop_reason"').first.wait_for()
    browser = page.context.browser
    assert browser is not None
    stranger = browser.new_page()
    stranger.goto(f"{up.ui}/grindstone/#/run/{failed.run_key}")
    stranger.get_by_label("The home's login").wait_for()
    assert failed.task_id not in stranger.inner_text("body")
    stranger.close()
