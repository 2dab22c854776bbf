"""Word of a review through a Prefect block, received by a real web server."""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from graduation_support import START, fill

from grindstone.graduation import GraduationService
from grindstone.settings import GraduationSettings

pytestmark = [pytest.mark.server, pytest.mark.timeout(240)]

POLICIES = {
    "asks": "name: asks\nagents: [asking]\nexam: {required: false}\n",
    "rises": "name: rises\nagents: [rising]\nexam: {required: false}\n"
    "approval: none\npromotion: apply\n",
    "falls": "name: falls\nagents: [falling]\n",
}


class Receiver(ThreadingHTTPServer):
    """Keeps what it is sent; answers with `status`."""

    status = 200

    def __init__(self) -> None:
        self.got: list[dict[str, str]] = []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append(json.loads(body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Be quiet."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


async def save(receiver: Receiver) -> str:
    from prefect.blocks.notifications import CustomWebhookNotificationBlock

    block = CustomWebhookNotificationBlock(
        name="board",
        url=f"http://127.0.0.1:{receiver.server_address[1]}/hook",
        json_data={"subject": "{{subject}}", "body": "{{body}}"},
        secrets={},
    )
    await block.save("board", overwrite=True)
    return "custom-webhook/board"


async def test_a_review_tells_of_what_changed_and_of_nothing_else(
    prefect_server: str, tmp_path: Path, receiver: Receiver
) -> None:
    from grindstone.flows.review import review

    (tmp_path / "policies").mkdir()
    for name, text in POLICIES.items():
        (tmp_path / "policies" / f"{name}.yaml").write_text(text)
    service = GraduationService(tmp_path)
    await service.enrol_agent(
        "falling", "INTERN", by="Grace", second="Linus", reason="t", since=START
    )
    for agent in ("asking", "rising", "idle"):
        await fill(service, 2 if agent == "idle" else 12, agent_id=agent, episode_id="")
    await fill(
        service, 3, first=40, agent_id="falling", episode_id="", success=False, maturity="INTERN"
    )
    settings = GraduationSettings(work_dir=tmp_path, notify_block=await save(receiver))
    await review(settings)
    (told,) = receiver.got
    assert told["subject"].startswith("Grindstone: 4 agents reviewed: ")
    lines = told["body"].splitlines()
    assert [line.split(":")[0] for line in lines] == ["asking", "falling", "rising"]
    assert "[approval due]: no named human" in lines[0]
    assert "[demoted]: 3 failures in a row" in lines[1]
    assert "[promoted]" in lines[2]
    await review(settings)
    assert len(receiver.got) == 1  # nothing changed since
    await review(settings.model_copy(update={"weekly": True}))
    assert len(receiver.got[1]["body"].splitlines()) == 4


async def test_a_message_that_does_not_arrive_undoes_no_decision(
    prefect_server: str, tmp_path: Path, receiver: Receiver
) -> None:
    from grindstone.flows.review import review
    from grindstone.runs.progress import Note, Progress, watching

    receiver.status = 503
    service = GraduationService(tmp_path)
    await fill(service, 2)
    told: list[Progress] = []
    settings = GraduationSettings(work_dir=tmp_path, notify_block=await save(receiver), weekly=True)
    with watching(told.append):
        await asyncio.wait_for(review(settings), 60)
    assert receiver.got
    notes = [item.text for item in told if isinstance(item, Note)]
    (note,) = [text for text in notes if "custom-webhook/board" in text]
    assert "503" in note
