"""A home with two runs, shown by `grindstone view`, and a browser on it."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from support.browsing import browsing
from support.viewer_home import make_home

from grindstone.home import Home

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from playwright.sync_api import Page


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return make_home(tmp_path_factory.mktemp("viewer") / "home")


class Viewer(NamedTuple):
    """A viewer that runs, and a browser that was let in."""

    base: str
    entry: str
    page: "Page"

    def open(self, place: str) -> "Page":
        """Go to a place of the viewer as by a link from outside."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.base}#{place}")
        return self.page


@contextlib.contextmanager
def viewing(home: Home, chromium: str) -> Iterator[Viewer]:
    """A viewer of a home, as a command of its own."""
    command = [sys.executable, "-m", "grindstone.flows.cli", "view", "--no-open"]
    process = subprocess.Popen(
        [*command, "--work-dir", str(home)], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        entry = process.stderr.readline().split()[1]
        with browsing(chromium) as page:
            page.set_default_timeout(20_000)
            page.goto(entry)
            page.get_by_role("link", name="late").wait_for()
            yield Viewer(entry.partition("#")[0], entry, page)
    finally:
        process.terminate()
        process.wait(timeout=20)
        assert process.stderr is not None
        process.stderr.close()


@pytest.fixture(scope="session")
def viewer_of(chromium: str) -> "Callable[[Home], AbstractContextManager[Viewer]]":
    """Open the viewer of a home."""
    return lambda home: viewing(home, chromium)


@pytest.fixture(scope="module")
def viewer(home: Home, chromium: str) -> Iterator[Viewer]:
    with viewing(home, chromium) as found:
        yield found


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, which looks for what shuts people out."""
    return (Path(__file__).parent / "assets" / "axe.min.js").read_text("utf-8")
