"""Our own loops ask a service that speaks Chat Completions."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from support.model_service import QUICK, events_of, request, serving, site

from grindstone.agents.tools import Bash
from grindstone.errors import Cause, InfrastructureError, InputError
from grindstone.ledger import Ledger
from grindstone.llm import open_models
from grindstone.llm.chat import ChatAnswer
from grindstone.llm.messages import INVALID_JSON, Message, Text, ToolResult, ToolSpec, ToolUse
from grindstone.llm.prices import OWN_PRICES, PriceList, price_of
from grindstone.llm.providers import resolve_model_id
from grindstone.llm.timeouts import PATIENCE, Timeouts
from grindstone.llm.wire import Accumulator
from grindstone.preflight import preflight
from grindstone.proxy.api import sse
from grindstone.records import Usage
from grindstone.settings import GrindSettings, RunSettings
from grindstone.spending import DEFAULT_USD, expect, with_ceiling

SHELL = ToolSpec(name="bash", description="Runs.", input_schema={"type": "object"})


def chunks(body: dict[str, Any]) -> Response:
    call = {"index": 0, "id": "call_1", "function": {"name": "bash", "arguments": '{"comm'}}
    more = {"index": 0, "function": {"arguments": 'and": "ls"}'}}
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": "I "},
        {"content": "look."},
        {"tool_calls": [call]},
        {"tool_calls": [more]},
    ]
    events = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    details = {"prompt_tokens_details": {"cached_tokens": 40}}
    usage = {"prompt_tokens": 100, "completion_tokens": 10} | details
    events.append({"choices": [], "usage": usage})
    return StreamingResponse(map(sse, events), media_type="text/event-stream")


async def test_it_asks_in_the_apis_words_and_pays_once_at_the_price_it_was_told(tmp_path: Path):
    prices = '{"openai:qwen3": {"input": 1, "output": 10, "cache_read": 0.5}}'
    use = ToolUse(id="call_0", name="bash", input={"command": "pwd"})
    talk = (
        Message(role="user", content=(Text(text="go"),)),
        Message(role="assistant", content=(Text(text="First."), use)),
        Message(role="user", content=(ToolResult(tool_use_id="call_0", content="/app"),)),
    )
    async with serving() as service:
        service.reply = chunks
        environ = {"OPENAI_API_KEY": "sk-own-key", "GRINDSTONE_PRICES": prices}
        for _ in range(2):  # the second time out of the journal
            calls = []
            async with open_models(
                run_key="run",
                journal_dir=tmp_path,
                environ=environ,
                patience=QUICK,
                on_call=calls.append,
            ) as models:
                model = models.get(f"openai:qwen3@{service.url}/v1")
                answer = await model.complete(request(messages=talk, tools=(SHELL,)), site())
        (body,) = service.bodies
    assert service.paths == ["/v1/chat/completions"]
    assert service.headers[0]["authorization"] == "Bearer sk-own-key"
    assert body["model"] == "qwen3"
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["system", "user", "assistant", "tool"]
    assert body["messages"][2]["tool_calls"][0]["function"]["arguments"] == '{"command": "pwd"}'
    assert answer.text == "I look."
    assert [use.input for use in answer.tool_uses] == [{"command": "ls"}]
    assert answer.stop_reason == "tool_use"
    assert answer.usage.input_tokens == 60
    assert answer.usage.cache_read_tokens == 40
    assert calls[0].cost_usd == pytest.approx((60 * 1 + 40 * 0.5 + 10 * 10) / 1e6)


def test_an_id_says_where_the_model_is():
    found = resolve_model_id("openai:qwen/qwen3:free@http://127.0.0.1:11434/v1", {})
    assert (found.name, found.base_url) == ("qwen/qwen3:free", "http://127.0.0.1:11434/v1")
    assert resolve_model_id("messages:x", {"ANTHROPIC_BASE_URL": "http://h"}).name == "x"
    for unknown in ("openai:gpt-5", "messages:x"):
        with pytest.raises(InputError, match="no address"):
            resolve_model_id(unknown, {})


def test_a_price_of_ones_own_counts_wherever_money_does(tmp_path: Path):
    prices = '{"openai:qwen3": {"input": 1, "output": 10}}'
    settings = RunSettings(model_id="openai:qwen3@http://localhost:1/v1", work_dir=tmp_path)
    assert with_ceiling(settings, {}).max_cost_usd is None
    assert with_ceiling(settings, {OWN_PRICES: prices}).max_cost_usd == DEFAULT_USD
    model = resolve_model_id(settings.model_id, {})
    own = PriceList.of_environment({OWN_PRICES: prices})
    usage = Usage(input_tokens=1_000_000)
    assert price_of(model, usage, own).usd == 1.0
    assert price_of(model, usage).usd is None
    # What a table knows by the service's own name is found whatever address was named.
    known = resolve_model_id("openai:gpt-4o@http://localhost:1/v1", {})
    assert price_of(known, usage).usd == pytest.approx(2.5)
    assert expect(settings, model, Ledger(tmp_path), own).per_attempt_usd
    wrong = {OWN_PRICES: '{"openai:qwen3": {"input": "dear"}}'}
    with pytest.raises(InputError, match=r"GRINDSTONE_PRICES: openai:qwen3\.input"):
        preflight("grind", GrindSettings(model_id="rehearsal", work_dir=tmp_path), wrong)
    dear = settings.model_copy(update={"max_cost_usd": 3.0})
    with pytest.raises(InputError, match=r"max_cost_usd: the price of .*openai:qwen3.* is unknown"):
        preflight("grind", dear, {})
    preflight("grind", dear, {OWN_PRICES: prices})


def test_arguments_that_are_no_json_are_the_models_mistake_and_its_tool_refuses_them():
    """Small models write such: it is a turn of the agent's, and no fault of the service."""
    for stream, events in ((ChatAnswer(1), _chat_events), (Accumulator(1), _message_events)):
        for event in events('{"command": "ls'):
            stream.add(event)
        [use] = stream.response().tool_uses
        assert use.input == {INVALID_JSON: '{"command": "ls'}
        with pytest.raises(ValidationError, match="command"):
            Bash.model_validate(use.input)


def _chat_events(written: str) -> list[dict[str, Any]]:
    call = {"index": 0, "id": "call_1", "function": {"name": "bash", "arguments": written}}
    return [
        {"choices": [{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    ]


def _message_events(written: str) -> list[dict[str, Any]]:
    use = {"type": "tool_use", "id": "call_1", "name": "bash", "input": written}
    return events_of([use], "tool_use", 5)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (HTMLResponse("<html>Log in</html>"), "text/html; charset=utf-8"),
        (JSONResponse({"choices": []}), '{"choices":[]}'),
    ],
)
async def test_who_answers_no_stream_is_told_with_what_he_said(
    tmp_path: Path, reply: Response, said: str
):
    async with serving() as service:
        service.reply = lambda _: reply
        async with open_models(run_key="run", journal_dir=tmp_path, patience=QUICK) as models:
            model = models.get(f"openai:qwen3@{service.url}/v1")
            with pytest.raises(InfrastructureError, match="no stream of events") as caught:
                await model.complete(request(), site())
    assert caught.value.cause is Cause.MODEL_SERVER
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ('{"stall_s": 0}', ".stall_s"),
        ('{"stall": 3}', ".stall"),
        ('{"stall_s": 1e999}', ".stall_s"),
        ("[]", ""),
    ],
)
def test_patience_that_cannot_be_had_names_its_field(given: str, field: str):
    with pytest.raises(InputError) as caught:
        Timeouts.of_environment({PATIENCE: given})
    assert caught.value.where == f"GRINDSTONE_PATIENCE{field}"
