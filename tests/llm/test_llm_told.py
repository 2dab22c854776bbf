"""What a service says of its tokens is believed as far as it can be true."""

from typing import Any

import pytest

from grindstone.ledger.store import frame_of
from grindstone.ledger.tables import TABLES
from grindstone.llm.asking import StreamedAnswer
from grindstone.llm.calls import CallRecord
from grindstone.llm.chat import ChatAnswer
from grindstone.llm.told import guessed_by_size
from grindstone.llm.wire import Accumulator
from grindstone.proxy.responses import ResponsesApi
from grindstone.records import Usage, utc_now

WORDS = "x" * 400
PROMPT_BYTES = 4000

UNBELIEVABLE = [
    {"input_tokens": 10**30, "output_tokens": 10**30},
    {"input_tokens": -5, "output_tokens": 7},
    {"input_tokens": "many", "output_tokens": 7},
    {"input_tokens": 1e300, "output_tokens": 7},
    {"input_tokens": float("nan"), "output_tokens": 7},
    {"input_tokens": 5, "output_tokens": True},
    "a lot",
    {},
    None,
]


def _messages(usage: Any) -> StreamedAnswer:
    answer = Accumulator(PROMPT_BYTES)
    start: dict[str, Any] = {"role": "assistant", "model": "m", "content": []}
    after: dict[str, Any] = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    if usage is not None:
        start["usage"] = after["usage"] = usage
    answer.add({"type": "message_start", "message": start})
    block = {"type": "text", "text": ""}
    answer.add({"type": "content_block_start", "index": 0, "content_block": block})
    delta = {"type": "text_delta", "text": WORDS}
    answer.add({"type": "content_block_delta", "index": 0, "delta": delta})
    answer.add(after)
    return answer


def _chat(usage: Any) -> StreamedAnswer:
    answer = ChatAnswer(PROMPT_BYTES)
    choice = {"index": 0, "delta": {"content": WORDS}, "finish_reason": "stop"}
    answer.add({"model": "m", "choices": [choice]})
    answer.add({"choices": [], "usage": usage})
    return answer


def _responses(usage: Any) -> StreamedAnswer:
    answer = ResponsesApi().streamed(PROMPT_BYTES)
    item = {"type": "message", "content": [{"type": "output_text", "text": WORDS}]}
    answer.add({"type": "response.completed", "response": {"output": [item], "usage": usage}})
    return answer


APIS = pytest.mark.parametrize("told_by", [_messages, _chat, _responses])


@APIS
@pytest.mark.parametrize("usage", UNBELIEVABLE, ids=str)
def test_what_cannot_be_true_is_estimated_by_size(told_by: Any, usage: Any):
    response = told_by(usage).response()
    assert response.usage.input_tokens == guessed_by_size(PROMPT_BYTES, 0).input_tokens
    assert 100 <= response.usage.output_tokens <= 150
    row = CallRecord(
        **{"call_id": "c", "run_key": "r", "role": "solver", "scope": "s", "turn": 0},
        **{"model": "m", "provider": "messages", "usage": response.usage, "tries": 1},
        **{"stop_reason": "end_turn", "cost_usd": None, "price_source": "unknown"},
        **{"started_at": utc_now(), "duration_s": 1.0},
    )
    assert frame_of(TABLES["calls"], [row], "r")["input_tokens"].to_list() == [1000]


@APIS
def test_what_can_be_true_is_taken_as_it_is_told(told_by: Any):
    told = {"input_tokens": 7, "output_tokens": 3.0}
    assert told_by(told).response().usage == Usage(input_tokens=7, output_tokens=3)
