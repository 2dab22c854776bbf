"""Two attempts side by side, which run the same again after they parted."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.viewer_home import command, conversation, keep_attempt, keep_state, make_home

from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.settings import FeedbackLevel
from grindstone.view.folder import write_folder

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.commands, pytest.mark.timeout(180)]

LEFT = ["ls", "cat a", "make", "make test", "git status", "submit"]
RIGHT = ["ls", "cat b", "cat c", "make", "make test", "rm x", "submit"]
PLACE = "/pair/one-walks/two-walks"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = make_home(tmp_path_factory.mktemp("pair") / "home")
    ledger = Ledger(home)
    keep_state(ledger, "walks", "completed", day=2)
    for minute, (task, commands) in enumerate({"one": LEFT, "two": RIGHT}.items()):
        steps = [command(index, text, "") for index, text in enumerate(commands, start=2)]
        told = conversation(task, steps)
        keep_attempt(ledger, "walks", task, told, passed=minute == 0, minute=3000 + minute)
    return home


def stretches(page: "Page") -> list[tuple[str, list[str], list[str]]]:
    """What stands side by side, in order: whether it is the same, and the turns of each side."""
    page.get_by_text("After that").wait_for()
    for folded in page.locator("details.alike > summary").all():
        folded.click()
    found = []
    for block in page.locator("main .sides:has(> .turns)").all():
        sides = [
            side.locator(".title").all_inner_texts() for side in block.locator("> .turns").all()
        ]
        kind = "apart" if "apart" in (block.get_attribute("class") or "") else "same"
        found.append((kind, *sides))
    return found


WANTED = [
    ("same", ["ls"], ["ls"]),
    ("apart", ["cat a"], ["cat b", "cat c"]),
    ("same", ["make", "make test"], ["make", "make test"]),
    ("apart", ["git status"], ["rm x"]),
    ("same", ["submit"], ["submit"]),
]


def test_what_both_did_stands_in_one_row_again(viewer: Any) -> None:
    page = viewer.open(PLACE)
    page.get_by_text("The first 1 turn ran the same; they part at turn 3 and turn 3.").wait_for()
    page.get_by_text("After that 3 turns ran the same again.").wait_for()
    page.get_by_text("2 turns alike: 4 to 5 and 5 to 6").wait_for()
    assert stretches(page) == WANTED


def test_so_it_does_in_a_folder(viewer: Any, home: Home, tmp_path: Path) -> None:
    index = write_folder(home, ("walks",), tmp_path / "pages", level=FeedbackLevel.TESTS)
    viewer.page.goto(f"{index.as_uri()}#{PLACE}")
    assert stretches(viewer.page) == WANTED


def test_an_attempt_beside_itself_did_the_same(viewer: Any) -> None:
    page = viewer.open("/pair/long-walk-late/long-walk-late")
    page.get_by_text("They did the same.").wait_for()
    assert page.locator(".apart").count() == 0


def test_long_conversations_are_aligned_soon(viewer: Any) -> None:
    page = viewer.open("/pair/long-walk-late/one-walks")
    page.get_by_text("They part at the first turn.").wait_for(timeout=5000)
