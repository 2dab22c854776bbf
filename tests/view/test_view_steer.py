"""Orders given in the viewer: by its own page alone, with the login alone."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from support.viewer_home import keep_state, make_home

from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.settings import FeedbackLevel
from grindstone.steering import Order, give_order, orders_of
from grindstone.view.app import viewer_app
from grindstone.view.folder import write_folder
from grindstone.view.site import Site

LOGIN = {"Authorization": "Basic YWRtaW46c2VjcmV0"}
PLACE = "/api/run/now/orders"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = make_home(tmp_path_factory.mktemp("steer") / "home")
    keep_state(Ledger(home), "now", "running", day=2)
    return home


@pytest.fixture
def client(home: Home) -> TestClient:
    return TestClient(viewer_app(Site(home), LOGIN["Authorization"], by="ann"))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Basic bm9ib2R5"}, 401),
        (LOGIN | {"Origin": "https://evil.example"}, 403),
        (LOGIN | {"Sec-Fetch-Site": "cross-site"}, 403),
        (LOGIN | {"Sec-Fetch-Site": "same-site"}, 403),
        (LOGIN | {"Content-Type": "text/plain"}, 403),
    ],
)
def test_nobody_else_gives_an_order(
    client: TestClient, home: Home, headers: dict[str, str], status: int
):
    given = {"Content-Type": "application/json"} | headers
    before = orders_of(home.run("now"))
    answer = client.post(PLACE, content='{"paused": true}', headers=given)
    assert answer.status_code == status
    assert orders_of(home.run("now")) == before


@pytest.mark.parametrize(
    ("place", "body", "status", "said"),
    [
        (PLACE, "{}", 409, "asks nothing"),
        (PLACE, "no JSON", 409, "JSON"),
        (PLACE, '{"max_workers": 0}', 409, "max_workers"),
        (PLACE, '{"paused": true, "by": "root"}', 409, "by"),
        (PLACE, " " * 5000, 413, "short"),
        ("/api/run/early/orders", '{"paused": true}', 409, "early: is completed"),
        ("/api/run/nosuch/orders", '{"paused": true}', 409, "nosuch: is no run"),
    ],
)
def test_what_is_no_order_is_refused_with_the_reason(
    client: TestClient, place: str, body: str, status: int, said: str
):
    headers = LOGIN | {"Content-Type": "application/json"}
    answer = client.post(place, content=body, headers=headers)
    assert (answer.status_code, said in answer.json()["problem"]) == (status, True), answer.text


def test_a_request_of_the_page_is_taken_and_signed(client: TestClient, home: Home):
    same = {"Origin": "http://testserver"}
    answer = client.post(PLACE, json={"max_cost_usd": 2.5}, headers=LOGIN | same)
    assert answer.status_code == 200
    [order] = [each for each in orders_of(home.run("now")) if each.max_cost_usd == 2.5]
    assert (order.by, order.via) == ("ann", "viewer")


@pytest.mark.browser
@pytest.mark.commands
@pytest.mark.timeout(180)
class TestButtons:
    def test_a_run_is_paused_and_goes_on(self, viewer: Any, home: Home, axe: str) -> None:
        page = viewer.open("/run/now")
        page.get_by_role("button", name="Pause").click()
        page.get_by_text("paused", exact=True).wait_for()
        assert orders_of(home.run("now"))[-1].paused is True
        page.get_by_label("Attempts at once").fill("3")
        page.get_by_role("button", name="Change").click()
        page.get_by_text("max_workers 3").wait_for()
        assert orders_of(home.run("now"))[-1].max_workers == 3
        page.get_by_role("button", name="Call off").click()
        page.get_by_role("button", name="No", exact=True).click()
        page.get_by_role("button", name="Go on").click()
        page.get_by_role("button", name="Pause").wait_for()
        assert not any(order.cancel for order in orders_of(home.run("now")))
        page.evaluate(axe)
        rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
        found = page.evaluate("rules => axe.run(document, rules)", rules)
        assert [each["id"] for each in found["violations"]] == []

    def test_an_ended_run_and_a_folder_have_no_buttons(
        self, viewer: Any, home: Home, tmp_path: Path
    ) -> None:
        page = viewer.open("/run/early")
        page.get_by_role("heading", name="Attempts").wait_for()
        assert page.get_by_role("button", name="Pause").count() == 0
        give_order(home.run("now"), Order(paused=True), by="ann@desk", via="cli")
        index = write_folder(home, ("now",), tmp_path / "pages", level=FeedbackLevel.TESTS)
        page.goto(f"{index.as_uri()}#/run/now")
        page.get_by_role("heading", name="Orders").wait_for()
        assert page.get_by_role("button", name="Go on").count() == 0
        assert page.get_by_role("button", name="Pause").count() == 0
