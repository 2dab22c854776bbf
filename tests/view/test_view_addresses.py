"""Whatever stands in an address or a question is answered, or a problem that JSON tells."""

import itertools
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient
from support.viewer_home import AGENT, SKILL

from grindstone.home import Home
from grindstone.view.app import viewer_app
from grindstone.view.site import Site

LOGIN = {"Authorization": "Basic YWRtaW46c2VjcmV0"}
RUN, EPISODE = "early", "sort-names-early"
ODD = (
    *("9" * 5000, "9" * 19, "1" + "0" * 9, "-1", "٣", "²", "1e400", "NaN", "0" * 300),
    *("x" * 300, "日" * 200, "x" * 5000, "", " ", ".", "..", "../..", "/etc/passwd", "a/../b"),
    *("\0", "a\0b", "\r", "\x1b[31m", "\u202e", "%", "%00", "%ff", "*", "?", "[", "[]", "\\", "'"),
    *("-", "--help", "@{u}", "HEAD", "^", ":(top)", ":/", "$(id)", "(a", "early@cycle-999999"),
)
SHAPES = (
    *("{}", "{}/{}", "run/{}", "run/{}/download/{}", "diff/{}/{}", "skill/{}/{}", "episode/{}"),
    *("episode/{}/calls", "episode/{}/whole", "episode/{}/atif", "episode/{}/steps/{}"),
    *("search?text={}", "search?text=names&run={}", "search?{}={}"),
)


def spelled(word: str) -> str:
    """A word as one part of an address, whatever a client makes of dots."""
    return quote(word, safe="").replace(".", "%2E")


@pytest.fixture(scope="module")
def client(home: Home) -> TestClient:
    site = Site(home)
    return TestClient(viewer_app(site, LOGIN["Authorization"]), raise_server_exceptions=False)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_question_has_an_answer_in_json(client: TestClient, shape: str) -> None:
    odd = [(word,) for word in ODD]
    if shape.count("{}") == 2:
        known = {"episode": EPISODE, "skill": AGENT}.get(shape.partition("/")[0], RUN)
        odd = [pair for word in ODD for pair in ((known, word), (word, RUN))]
    wrong = []
    for words in odd:
        asked = shape.format(*map(spelled, words))
        answer = client.get(f"/api/{asked}", headers=LOGIN)
        told = answer.headers["content-type"] in ("application/json", "application/octet-stream")
        if answer.status_code not in (200, 404) or not told or "/work" in answer.text:
            wrong.append((tuple(word[:20] for word in words), answer.status_code))
        elif answer.status_code == 404 and len(answer.text) > 1000:
            wrong.append((tuple(word[:20] for word in words), len(answer.text)))
    assert not wrong


@pytest.mark.parametrize(
    "word", [word for word in ODD if word.strip("/.")], ids=lambda word: repr(word[:12])
)
def test_an_order_to_no_run_is_a_problem(client: TestClient, word: str) -> None:
    for body in (b'{"paused": true}', b'{"max_workers": ' + b"9" * 4000 + b"}", b"[" * 4000):
        place = f"/api/run/{spelled(word)}/orders"
        headers = LOGIN | {"Content-Type": "application/json"}
        answer = client.post(place, content=body, headers=headers)
        assert answer.status_code in (404, 405, 409), answer.text


@pytest.mark.parametrize("name", [".", "..", "*", "?" * len(SKILL), f"{SKILL[:-1]}[s]", ":(top)"])
def test_a_pattern_is_no_skill(client: TestClient, name: str) -> None:
    answer = client.get(f"/api/skill/{AGENT}/{spelled(name)}", headers=LOGIN)
    assert answer.status_code == 404, answer.text[:300]


def test_text_of_any_form_is_searched(client: TestClient) -> None:
    for text, run in itertools.product(("names", "(a", "**", "\x1b[31m"), ("", RUN)):
        answer = client.get("/api/search", params={"text": text, "run": run}, headers=LOGIN)
        assert answer.status_code == 200
        assert bool(answer.json()["found"]) is (text == "names")
