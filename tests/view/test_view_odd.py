"""Homes that nobody tidied: odd names, halves of attempts, runs that broke off, skills gone."""

import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from support.browsing import browsing
from support.viewer_home import (
    AGENT,
    SKILL,
    SKILL_TEXT,
    START,
    command,
    conversation,
    keep_attempt,
)

from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.ledger.tables.attempts import SkillUseRow, trajectory_rows
from grindstone.ledger.tables.runs import EvolutionRow, RunRow
from grindstone.records import Episode, Outcome
from grindstone.sandbox.owner import this_host
from grindstone.settings import FeedbackLevel
from grindstone.view.folder import write_folder
from grindstone.view.site import Site
from grindstone.workspace import Workspace

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.commands, pytest.mark.timeout(180)]

NAMES = [
    *("two words", "täglich-日本-🙂", "<script>window.hacked=1;<b>", "a%2Fb#c?d&e=f"),
    *("n" * 200, "..", "'\"`;${x}", "%E0%A4%A"),
]


def bare_episode(run_key: str, task: str, outcome: Outcome) -> Episode:
    """One that left nothing but its row."""
    return Episode(
        episode_id=f"bare-{outcome}",
        run_key=run_key,
        agent_id="somebody else",
        purpose="grind",
        task_id=task,
        outcome=outcome,
        rehearsal=True,
        error_cause="internal" if outcome is Outcome.ERROR else "",
        error_detail="<b>it broke</b>" if outcome is Outcome.ERROR else "",
        started_at=START,
        ended_at=START,
    )


@pytest.fixture(scope="module")
def odd(home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The home with a run of oddities, and skills that came, went and never were."""
    mine = Home.at(shutil.copytree(home.root, tmp_path_factory.mktemp("odd") / "home"))
    ledger, workspace = Ledger(mine), Workspace.open(mine.workspace(AGENT))
    gone = {"owner_host": this_host(), "owner_pid": os.getpid(), "owner_started": "long ago"}
    state = RunRow(
        run_key="odd", sequence=0, kind="grind", status="running", agent_id=AGENT,
        model="rehearsal", rehearsal=True, n_tasks=9, at=START + timedelta(days=2), **gone,
    )  # fmt: skip
    ledger.append([state], run_key="odd")
    steps = conversation("it", [command(2, "ls", "names.txt\n")])
    keys = [
        keep_attempt(ledger, "odd", name, steps, passed=False, minute=2900 + n)
        for n, name in enumerate(NAMES)
    ]
    ledger.append(
        [bare_episode("odd", "half", each) for each in (Outcome.ERROR, Outcome.FAILED)],
        run_key="odd",
    )
    whole, its_steps = trajectory_rows("bare-failed", steps)  # the verdict is yet to come
    ledger.append([whole], run_key="odd")
    ledger.append(its_steps, run_key="odd")
    with workspace.writing() as root:
        before = workspace.snapshot().commit
        own = root / "task_skills" / "sort-names" / "SKILL.md"
        own.parent.mkdir(parents=True)
        own.write_text(SKILL_TEXT.replace(SKILL, "sort-names"), "utf-8")
        learned = root / "skills" / "never-offered" / "SKILL.md"
        learned.parent.mkdir(parents=True)
        learned.write_text(SKILL_TEXT.replace(SKILL, "never-offered"), "utf-8")
        shutil.rmtree(root / "skills" / SKILL)
        after = workspace.commit_evolution(2, "turned over", step="odd/evolve-1").commit
    told: dict[str, Any] = {"run_key": "odd", "agent_id": AGENT, "cycle": 1, "at": START}
    changed = EvolutionRow(
        **told, evo_number=2, commit_before=before, commit_after=after,
        skills_added=("never-offered", "never-committed"), skills_removed=(SKILL,),
    )  # fmt: skip
    wrote = EvolutionRow(
        **told, evo_number=0, step="batch-1/cycle-1/task_skill-sort-names-x", commit_before=before,
        commit_after=after, task_ids=("sort-names",),
    )  # fmt: skip
    uses = [
        SkillUseRow(episode_id=keys[0], skill=name, scope=scope, loaded=True)
        for name, scope in (("sort-names", "task"), ("of another <home>", "general"))
    ]
    for rows in ([changed, wrote], uses):
        ledger.append(rows, run_key="odd")
    return mine


def watch(page: "Page") -> list[str]:
    """Note what goes wrong in a page from now on."""
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.set_default_timeout(20_000)
    return wrong


def shown(page: "Page", address: str) -> list[str]:
    """Open an address; return where its links lead."""
    page.goto("about:blank")
    page.goto(address)
    page.locator("h1, .problem[role=alert]").first.wait_for()
    page.get_by_text("Reading…", exact=True).first.wait_for(state="detached")
    assert page.locator(".problem[role=alert]").count() == 0, (
        f"{address}: {page.inner_text('main')}"
    )
    links: list[str] = page.eval_on_selector_all("a", "all => all.map(a => a.getAttribute('href'))")
    return links


def test_every_link_of_a_folder_leads_to_a_page(odd: Home, chromium: str, tmp_path: Path) -> None:
    index = write_folder(odd, ("early", "late", "odd"), tmp_path / "x y", level=FeedbackLevel.TESTS)
    with browsing(chromium) as page:
        wrong = watch(page)
        seen, waiting = set[str](), ["#/"]
        while waiting:
            place = waiting.pop()
            links = {link for link in shown(page, index.as_uri() + place) if link != "report.html"}
            assert all(link.startswith("#") for link in links), links
            seen.add(place)
            waiting += [link for link in links - seen if link not in waiting]
        assert page.evaluate("window.hacked") is None
        assert wrong == []
        for skill in ("never-offered", SKILL, "sort-names"):
            assert f"#/skill/{AGENT}/{skill}" in seen, skill
        assert not any("never-committed" in place for place in seen)
        assert "#/run/odd" in seen
        assert len([place for place in seen if place.startswith("#/episode/")]) >= len(NAMES) + 7
        shown(page, index.as_uri() + "#/run/odd")
        text = page.inner_text("main")
        assert "added never-offered never-committed" in " ".join(text.split())


def test_times_are_in_utc_and_a_rehearsal_cost_nothing_as_its_report_says(
    odd: Home, viewer_of: Any
) -> None:
    with viewer_of(odd) as viewer:
        far = {"timezoneId": "Asia/Tokyo"}
        viewer.page.context.new_cdp_session(viewer.page).send("Emulation.setTimezoneOverride", far)
        page = viewer.open("/episode/bare-failed")
        facts = page.locator("dl.facts")
        facts.get_by_text("Started (UTC)").wait_for()
        told = facts.inner_text().splitlines()
        assert told[told.index("Dollars") + 1] == "nothing"
        assert f"{START:%Y-%m-%d %H:%M}" in told
        page = viewer.open("/")
        page.get_by_role("button", name="Started (UTC)").wait_for()
        page.get_by_role("cell", name=f"{START + timedelta(days=2):%Y-%m-%d %H:%M}").wait_for()


def test_odd_names_are_text_and_found(odd: Home, viewer_of: Any) -> None:
    with viewer_of(odd) as viewer:
        wrong = watch(viewer.page)
        shown(viewer.page, f"{viewer.base}#/run/odd")
        told = viewer.page.inner_text("main")
        assert "broken off" in told
        assert "(rehearsal)" not in told  # once will do
        viewer.page.get_by_placeholder("such as outcome:failed or tokens>5000").wait_for()
        viewer.page.get_by_label("Filter").fill("started:2026-03-03 why-not:test")
        viewer.page.get_by_text(f"{len(NAMES)} of {len(NAMES) + 2} attempts").wait_for()
        for name in NAMES:
            assert name in told
            shown(viewer.page, f"{viewer.base}#/episode/{quote(name, safe='')}-odd")
            assert name in viewer.page.inner_text("h1")
            assert not viewer.page.evaluate("document.documentElement.scrollWidth > innerWidth")
        for address in ("#/run/%E0%A4%A", "#/nowhere/%", "#/episode/%ff"):
            viewer.page.goto("about:blank")
            viewer.page.goto(viewer.base + address)
            viewer.page.locator(".problem").wait_for()  # and no blank page
        assert viewer.page.evaluate("window.hacked") is None
        assert wrong == []


def test_half_an_attempt_is_shown_as_far_as_it_is_there(odd: Home) -> None:
    site = Site(odd)
    for key in ("bare-error", "bare-failed"):
        for address in ("", "/whole", "/calls", "/steps/0", "/steps/99"):
            assert site.document(f"episode/{key}{address}").startswith(b"{")
    assert b"<b>it broke</b>" in site.document("episode/bare-error")
    assert b'"status":"broken off"' in site.document("run/odd")
