"""A real browser on the Prefect UI: what a person reads and clicks there."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.async_api import Locator as AsyncLocator
    from playwright.async_api import Page as AsyncPage
    from playwright.sync_api import Locator, Page

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
PATIENCE_MS = 120_000


@contextlib.contextmanager
def browsing(chromium: str) -> Iterator["Page"]:
    """An empty page, for tests that run no event loop."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(PATIENCE_MS)
        yield page
        browser.close()


@contextlib.asynccontextmanager
async def abrowsing(chromium: str) -> AsyncIterator["AsyncPage"]:
    """An empty page, beside a flow that runs in the same process."""
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = await browser.new_page(viewport={"width": 1400, "height": 1600})
        page.set_default_timeout(PATIENCE_MS)
        yield page
        await browser.close()


# Logging in

LOGIN_FIELD = "input[type=password]"


def log_in(page: "Page", ui_url: str, login: str) -> None:
    """Log in as a person does whom the UI asks; the browser remembers it."""
    page.goto(ui_url)
    page.locator(LOGIN_FIELD).fill(login)
    page.get_by_role("button", name="Login").click()
    page.locator(LOGIN_FIELD).wait_for(state="hidden")


async def _log_in(page: "AsyncPage", ui_url: str, login: str) -> None:
    await page.goto(ui_url)
    await page.locator(LOGIN_FIELD).fill(login)
    await page.get_by_role("button", name="Login").click()
    await page.locator(LOGIN_FIELD).wait_for(state="hidden")


# Reading


def read(page: "Page", url: str, expected: str) -> str:
    """The text of a page once it shows what is expected; one that hangs is reloaded."""
    from playwright.sync_api import TimeoutError as TookTooLong

    page.goto(url)
    wanted = page.get_by_text(expected, exact=False).first
    try:
        wanted.wait_for(timeout=PATIENCE_MS / 2)
    except TookTooLong:
        page.reload()
        wanted.wait_for()
    return page.inner_text("body")


def shoot(page: "Page", path: Path) -> str:
    """Write a screenshot of all that the page holds; return its text."""
    tallest = "Math.max(...[...document.querySelectorAll('*')].map(each => each.scrollHeight))"
    page.wait_for_load_state("networkidle")
    page.set_viewport_size({"width": 1400, "height": min(page.evaluate(tallest) + 20, 6000)})
    page.screenshot(path=path)
    page.set_viewport_size({"width": 1400, "height": 1000})
    return page.inner_text("body")


def follow(page: "Page", text: str) -> None:
    """Open in this tab what a link opens in a new one."""
    page.goto(page.get_by_role("link", name=text, exact=True).first.evaluate("link => link.href"))


def shown_images(page: "Page") -> int:
    """How many images within the text were decoded."""
    page.wait_for_function("[...document.images].every(each => each.complete)")
    drawn = "[...document.images].filter(each => each.src.startsWith('data:') && each.naturalWidth)"
    return int(page.evaluate(f"{drawn}.length"))


def choose_option(page: "Page", field: str, name: str) -> None:
    """Choose from a list that is drawn anew when its names have come; the click may hit the old."""
    from playwright.sync_api import TimeoutError as NotInTime

    option = page.get_by_role("option", name=name)
    for _ in range(10):
        if option.count() == 0:
            page.get_by_role("button", name=field).click()
        try:
            option.click(timeout=10_000)
        except NotInTime:
            continue
        return
    raise AssertionError(f"{name} could not be chosen")


def group(page: "Page", description: str) -> "Locator":
    """The innermost part of a form of the newer UI that has a description."""
    words = page.get_by_text(description)
    return words.locator("xpath=ancestor::div[contains(concat(' ', @class, ' '), ' group ')][1]")


# Answering what a flow asks


async def paused_run(name: str, *, done: "asyncio.Task[Any] | None" = None) -> str | None:
    """Wait for a flow run whose name has these words to pause; return its id.

    Returns:
        The id; None when `done` ended first.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName

    wanted = FlowRunFilter(name=FlowRunFilterName(like_=name))
    async with get_client() as client:
        for _ in range(480):
            for run in await client.read_flow_runs(flow_run_filter=wanted):
                if run.state is not None and run.state.is_paused():
                    return str(run.id)
            if done is not None and done.done():
                return None
            await asyncio.sleep(0.25)
    raise AssertionError(f"{name} never paused")


@contextlib.asynccontextmanager
async def answering(page: "AsyncPage", api_url: str, run_id: str) -> AsyncIterator["AsyncLocator"]:
    """The form under Resume, which is submitted when it has been filled in."""
    from prefect.settings import PREFECT_API_AUTH_STRING

    ui_url = api_url.removesuffix("/api")
    await _log_in(page, ui_url, PREFECT_API_AUTH_STRING.value())
    await page.goto(f"{ui_url}/runs/flow-run/{run_id}")
    await page.get_by_role("button", name="Resume").first.click()
    dialog = page.get_by_role("dialog")
    # The dialog is there before its form: what is asked for is fetched when it opens.
    await dialog.locator("input, textarea, button.p-select-button__control").first.wait_for()
    yield dialog
    await dialog.get_by_role("button", name="Submit").click()
    await dialog.wait_for(state="hidden")


async def choose(page: "AsyncPage", form: "AsyncLocator", decision: str) -> None:
    """Pick an entry of the form's first list."""
    await form.locator("button.p-select-button__control").first.press("ArrowDown")
    await page.get_by_role("option", name=decision).click()
