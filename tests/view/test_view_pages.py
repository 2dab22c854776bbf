"""What a person sees in the viewer, in a real browser, by what is on the page."""

import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from support.viewer_home import (
    HOSTILE,
    SKILL,
    command,
    conversation,
    keep_attempt,
    keep_state,
)

from grindstone.ledger import Ledger
from grindstone.records import TestResult as Graded

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.commands, pytest.mark.timeout(180)]


PLACES = [
    *("/", "/run/late", "/episode/sort-names-early?step=3", "/trends", "/skills"),
    *(f"/skill/ada/{SKILL}", "/diff/early/late", "/pair/sort-names-early/sort-names-late"),
    "/search?text=sorted",
]


def cells(page: "Page", column: int) -> list[str]:
    """The texts of a table's column."""
    return [row.locator("td").nth(column).inner_text() for row in page.locator("tbody tr").all()]


def test_a_run_is_found_and_its_failed_attempts_are_filtered(viewer: Any) -> None:
    page = viewer.open("/")
    assert "login" not in page.url
    page.get_by_role("link", name="late").click()
    page.get_by_role("heading", name="grind ada").wait_for()
    assert "1 of 3 attempts" in page.inner_text("main")
    assert page.get_by_text("In Prefect").count() == 0  # it is not there
    page.get_by_role("button", name="outcome:failed").click()
    page.get_by_text("2 of 3 attempts", exact=True).wait_for()
    assert sorted(cells(page, 1)) == ["add-up", "long-walk"]
    page.get_by_role("button", name="Tokens").click()
    assert cells(page, 1) == ["add-up", "long-walk"]
    page.get_by_role("button", name="Tokens").click()
    assert cells(page, 1) == ["long-walk", "add-up"]
    # What one sees has an address: another person gets the same.
    address = page.url.partition("#")[2]
    viewer.open(address).get_by_text("2 of 3 attempts", exact=True).wait_for()
    assert cells(page, 1) == ["long-walk", "add-up"]
    page.get_by_label("Filter").fill("turns>100")
    assert cells(page, 1) == ["long-walk"]


def test_an_attempt_begins_with_why_it_failed_and_runs_nothing_of_what_it_shows(
    viewer: Any,
) -> None:
    page = viewer.open("/episode/sort-names-early")
    page.get_by_role("heading", name="failed: sort-names").wait_for()
    page.locator(".turn pre.gave", has_text="window.hacked").wait_for()
    text = page.inner_text("main")
    assert text.index("test_sorted") < text.index("zoe before adam") < text.index("Conversation")
    assert text.index("Conversation") < text.index("Prompt")
    assert text.count(HOSTILE) == 3
    assert page.evaluate("window.hacked") is None
    assert page.locator("main img, main script").count() == 0
    # Nor could it, were it let into the page.
    page.evaluate("text => { document.querySelector('main').innerHTML += text }", HOSTILE)
    page.wait_for_timeout(200)
    assert page.evaluate("window.hacked") is None


def test_one_jumps_to_errors_skills_and_repeated_commands(viewer: Any) -> None:
    page = viewer.open("/episode/sort-names-early")
    page.get_by_role("button", name="First error: turn 3").click()
    page.locator("#turn-3.marked").wait_for()
    page.wait_for_function("document.activeElement.parentElement.id === 'turn-3'")
    assert "exit 1" in page.locator("#turn-3 summary").inner_text()
    repeated = page.locator(".jumps li", has_text="Repeats sort names.txt")
    assert repeated.get_by_role("button").all_inner_texts() == ["3", "4", "5"]
    page = viewer.open("/episode/sort-names-late")
    page.locator(".jumps li", has_text=f"Reads {SKILL}").get_by_role("button", name="3").click()
    page.locator("#turn-3.marked").wait_for()
    page.locator("#turn-2").get_by_role("button", name="Raw answer").click()
    page.locator("#turn-2", has_text="0123abcd").get_by_text('"text": "I look."').wait_for()


def test_two_thousand_steps_open_soon_and_the_keyboard_goes_through_them(
    viewer: Any,
) -> None:
    began = time.monotonic()
    page = viewer.open("/episode/long-walk-late")
    page.locator("#turn-1999").wait_for(state="attached")
    page.locator("#turn-1 pre", has_text="Do long-walk.").wait_for()
    # About a second (benchmarks/view.py) where nothing else runs.
    assert time.monotonic() - began < 10
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.wait_for_function("document.activeElement.parentElement.id === 'turn-2'")
    page.keyboard.press("Enter")
    page.locator("#turn-2 pre", has_text="line 2").wait_for()
    page.keyboard.press("k")
    page.wait_for_function("document.activeElement.parentElement.id === 'turn-1'")
    page.goto(f"{viewer.base}#/episode/long-walk-late?step=1990")
    page.locator("#turn-1990 pre", has_text="line 1990").wait_for()
    assert page.locator("#turn-1990").is_visible()


def test_two_runs_show_what_flipped_and_the_skill_between_them(viewer: Any) -> None:
    page = viewer.open("/")
    page.get_by_label("Choose late").check()
    page.get_by_label("Choose early").check()
    page.get_by_role("button", name="What changed").click()
    page.get_by_role("heading", name="From early to late").wait_for()
    page.get_by_text("1 task gained, 1 lost, of 3.").wait_for()
    assert dict(zip(cells(page, 0), cells(page, 1), strict=True)) == {
        "sort-names": "gained",
        "add-up": "lost",
        "long-walk": "same",
    }
    assert f"evo-1 added {SKILL}" in page.inner_text("main")
    assert "+sort -c names.txt" in page.locator(".diff .added").all_inner_texts()[-2]
    page.get_by_role("row", name="sort-names").get_by_role("link", name="compare").click()
    page.get_by_text("The first 1 turn ran the same; they part at turn 3 and turn 3.").wait_for()
    failed, passed = page.locator(".apart > .turns").all()
    failed.locator("#turn-3 .asked", has_text="sort names.txt").wait_for()
    passed.locator("#turn-3 .asked", has_text=f"{SKILL}/SKILL.md").wait_for()
    assert f"read {SKILL}" in page.locator(".sides > section").last.inner_text()
    assert "✗ test_sorted failed" in page.locator(".sides").last.inner_text()


def test_a_skill_tells_its_text_history_use_and_who_taught_it(viewer: Any) -> None:
    page = viewer.open("/skills")
    assert "+100 points" in page.get_by_role("row", name=SKILL).inner_text()
    page.get_by_role("link", name=SKILL).click()
    page.get_by_role("heading", name="History").wait_for()
    text = page.inner_text("main")
    assert "5 / 1 / 1 of scored attempts" in text
    assert "1 of 1 with it, 0 of 1 without" in text
    assert "sort-names in early (evo-1)" in text
    assert f"+name: {SKILL}" in text
    page.get_by_text("1 attempt that read it").click()
    page.get_by_role("link", name="passed sort-names").click()
    page.get_by_role("heading", name="passed: sort-names").wait_for()


def test_a_word_is_found_in_all_that_was_said_run_and_printed(viewer: Any) -> None:
    page = viewer.open("/")
    page.get_by_label("Search steps").fill("LINE 1234")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="long-walk, turn 1234").click()
    page.locator("#turn-1234.marked pre", has_text="line 1234").wait_for()
    page = viewer.open("/run/early")
    page.get_by_label("Search steps of early").fill("hacked")
    page.keyboard.press("Enter")
    page.locator(".found mark", has_text="hacked").wait_for()
    assert page.locator(".found li").count() == 1
    assert page.evaluate("window.hacked") is None


def test_a_task_is_followed_over_the_runs(viewer: Any) -> None:
    page = viewer.open("/trends")
    row = page.get_by_role("row", name="sort-names")
    row.get_by_role("link", name="late: passed").wait_for()
    marks = row.get_by_role("link").evaluate_all("all => all.map(each => each.ariaLabel)")
    assert marks[:2] == ["early: failed", "late: passed"]
    page.get_by_role("link", name="late: 1 of 3").click()
    page.get_by_role("heading", name="grind ada").wait_for()


def test_a_run_that_goes_on_is_followed(viewer: Any, home: Any) -> None:
    from support.viewer_home import command, conversation, keep_attempt, keep_state

    from grindstone.ledger import Ledger

    ledger = Ledger(home)
    page = viewer.open("/")
    page.get_by_role("link", name="late").wait_for()
    keep_state(ledger, "going", "running", day=2)
    page.get_by_role("link", name="going").click()
    page.get_by_text("0 of 0 attempts").wait_for()
    steps = conversation("new-task", [command(2, "ls", "")])
    keep_attempt(ledger, "going", "new-task", steps, passed=True, minute=3000)
    page.get_by_role("link", name="new-task").wait_for()
    page.get_by_text("1 of 1 attempts").wait_for()


@pytest.mark.parametrize("place", PLACES)
def test_nobody_is_shut_out(viewer: Any, axe: str, place: str) -> None:
    page = viewer.open(place)
    page.locator("h1").wait_for()
    page.wait_for_timeout(300)
    # By the debugger, since the page's policy lets no script of ours in.
    page.evaluate(axe)
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        found = page.evaluate("rules => axe.run(document, rules)", rules)
        broken = {each["id"]: [n["html"] for n in each["nodes"]] for each in found["violations"]}
        assert broken == {}, scheme
        assert any(each["id"] == "color-contrast" for each in found["passes"])


def test_without_the_login_nothing_is_told(viewer: Any) -> None:
    import urllib.error
    import urllib.request

    for address in ("api/runs", "api/episode/sort-names-late", "api/events"):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(viewer.base + address, timeout=10)
    browser = viewer.page.context.browser
    stranger = browser.new_page()
    stranger.goto(viewer.base)
    stranger.get_by_label(re.compile("The home's login")).fill("admin:wrong")
    stranger.get_by_role("button", name="Enter").click()
    stranger.get_by_text("That is not the login.").wait_for()
    assert "late" not in stranger.inner_text("body")
    stranger.close()


def test_nothing_sticks_out_of_a_narrow_window(viewer: Any) -> None:
    page = viewer.open("/")
    page.set_viewport_size({"width": 400, "height": 700})  # 800 pixels at twice the size
    try:
        for place in PLACES:
            viewer.open(place).locator("main h1, main table").first.wait_for()
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 400, (place, wide)
    finally:
        page.set_viewport_size({"width": 1400, "height": 1000})


def test_many_failed_tests_and_a_long_name_leave_the_conversation_in_sight(
    viewer: Any, home: Any
) -> None:
    keep_state(Ledger(home), "odd", "completed")
    failed = tuple(Graded(name=f"test_{n}[{'x' * 300}]", status="failed") for n in range(300))
    walked = conversation("much", [command(2, "ls", "names.txt\n")])
    key = keep_attempt(Ledger(home), "odd", "n" * 200, walked, passed=False, tests=failed)
    page = viewer.open(f"/episode/{key}")
    page.get_by_text("280 more tests").wait_for()
    assert page.locator(".tests li:visible").count() == 20
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    page.get_by_text("280 more tests").click()
    assert page.locator(".tests li:visible").count() == 300
