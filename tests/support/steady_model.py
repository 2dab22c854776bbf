"""A model that takes the same time for each answer, and knows whose answers a kill may have cost.

Everybody is given one command to run, and told then that all is done: two answers an attempt.
"""

import asyncio
import hashlib
import threading
import time
from collections import Counter
from typing import NamedTuple, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from support.model_service import UnsignalledServer, says

JOURNALED_S = 1.0
"""After an answer has gone in, until it is surely in the journal."""


class _Answer(NamedTuple):
    digest: str
    to: str
    began: float
    ended: list[float]  # empty as long as it is on its way


class SteadyModel:
    """The service; it answers at an address from a thread of its own."""

    def __init__(self, host: str, *, answer_s: float, command: str) -> None:
        """Take the address to listen at, the time of an answer, and the command to be run."""
        self._host, self._answer_s, self._reply = host, answer_s, says(command)
        self._lock = threading.Lock()
        self._answers: list[_Answer] = []
        self._lost: Counter[str] = Counter()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)

    @property
    def url(self) -> str:
        """Where it answers."""
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://{self._host}:{port}"

    @property
    def asked(self) -> int:
        """How many answers it was asked for; each is paid for, whoever gets it."""
        return len(self._answers)

    @property
    def questions(self) -> int:
        """How many of these were different ones."""
        return len({answer.digest for answer in self._answers})

    @property
    def in_flight(self) -> int:
        """How many answers are on their way."""
        return sum(not answer.ended for answer in self._answers)

    def asked_after(self, moment: float) -> int:
        """Return how many answers were asked for after a moment of the monotonic clock."""
        return sum(answer.began > moment for answer in self._answers)

    def span_s(self, since: int) -> float:
        """Return the seconds from one question, counted from 0, to the end of the last answer."""
        answers = self._answers[since:]
        return max(each.ended[0] for each in answers) - min(each.began for each in answers)

    def forget(self) -> None:
        """Count anew: nobody who asked before is at work."""
        with self._lock:
            self._answers.clear()
            self._lost.clear()

    def asks(self, address: str) -> bool:
        """Return whether something at an address waits for an answer."""
        with self._lock:
            return any(each.to == address and not each.ended for each in self._answers[-200:])

    def lose(self, address: str) -> int:
        """Note that what runs at an address was killed just now; return what it may have cost."""
        now = time.monotonic()
        with self._lock:
            lost = [
                answer.digest
                for answer in self._answers
                if answer.to == address
                and (not answer.ended or now - answer.ended[0] < JOURNALED_S)
            ]
            self._lost.update(set(lost))
        return len(set(lost))

    def repeated(self) -> dict[str, int]:
        """Return how often each answer was paid for again that no kill can have cost."""
        asked = Counter(answer.digest for answer in self._answers)
        more = {digest: count - 1 - self._lost[digest] for digest, count in asked.items()}
        return {digest: count for digest, count in more.items() if count > 0}

    async def _answer(self, request: Request) -> Response:
        body = await request.body()
        assert request.client is not None
        mine = _Answer(hashlib.sha256(body).hexdigest(), request.client.host, time.monotonic(), [])
        with self._lock:
            self._answers.append(mine)
        await asyncio.sleep(self._answer_s)
        mine.ended.append(time.monotonic())
        answer: Response = self._reply(await request.json())
        return answer

    def _run(self) -> None:
        routes = [Route("/v1/messages", self._answer, methods=["POST"])]
        config = uvicorn.Config(
            Starlette(routes=routes), host=self._host, port=0, log_level="error", lifespan="off"
        )
        self._server = UnsignalledServer(config)
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        serving = asyncio.create_task(self._server.serve())
        while not self._server.started:
            await asyncio.sleep(0.01)
        self._ready.set()
        await serving
