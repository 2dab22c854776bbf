"""Spans of a real run, as a collector receives them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.collector import Collector, attributes, collector_at

from grindstone.flows.grind import grind
from grindstone.ledger import Ledger
from grindstone.llm.calls import CallRecord
from grindstone.records import Episode
from grindstone.runs.progress import Note, watching
from grindstone.settings import GrindSettings

pytestmark = [pytest.mark.server, pytest.mark.bubblewrap, pytest.mark.timeout(200)]
KEY = "sk-ant-api03-telemetry-secret-000000000000"
TASK = "crlf-kit"


async def run_one(home: Path, **more: object) -> list[str]:
    settings = GrindSettings(
        **{"work_dir": home, "run_key": "K", "task_ids": [TASK], "sandbox": "bubblewrap"}
        | {"max_cycles": 1, "model_id": "rehearsal", "success_mode": "off"}
        | {"task_skill_mode": "off"}
        | more
    )
    notes: list[str] = []
    with watching(lambda event: notes.append(event.text) if isinstance(event, Note) else None):
        await grind(settings)
    return notes


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    for each in collector_at():
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", each.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=grind")
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        yield each


async def test_a_run_is_one_trace_of_attempts_turns_and_tools(
    tmp_path: Path, prefect_server: str, collector: Collector
):
    await run_one(tmp_path)
    spans = collector.spans
    assert len({span.trace_id for span in spans}) == 1
    assert len({span.span_id for span in spans}) == len(spans)
    named = {span.span_id: span for span in spans}
    [run] = [span for span in spans if span.name == "run grind"]
    [attempt] = [span for span in spans if span.name == "invoke_agent skillbench"]
    assert not run.parent_span_id and attempt.parent_span_id == run.span_id
    chats = [s for s in spans if attributes(s).get("gen_ai.operation.name") == "chat"]
    tools = [s for s in spans if attributes(s).get("gen_ai.operation.name") == "execute_tool"]
    assert tools and {named[span.parent_span_id].name for span in tools} == {attempt.name}

    ledger = Ledger(tmp_path)
    calls, [episode] = ledger.rows(CallRecord, "K"), ledger.rows(Episode, "K")
    assert len(chats) == len(calls)
    own = [span for span in chats if span.parent_span_id == attempt.span_id]
    assert len(own) == sum(call.scope == episode.episode_id for call in calls)
    for name, total in (("output", "output_tokens"), ("cache_read.input", "cache_read_tokens")):
        sent = sum(attributes(span)[f"gen_ai.usage.{name}_tokens"] for span in own)
        assert sent == getattr(episode.usage, total)
    for span in (*own, *tools):
        assert attempt.start_time_unix_nano <= span.start_time_unix_nano
        assert span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= attempt.end_time_unix_nano

    [event] = attempt.events
    verdict = attributes(event)
    assert event.name == "gen_ai.evaluation.result"
    assert verdict["gen_ai.evaluation.score.value"] == episode.reward
    assert verdict["gen_ai.evaluation.score.label"] == episode.outcome.value
    assert verdict["grindstone.task.digest"] == episode.task_digest
    assert verdict["grindstone.evaluator"] == f"task {TASK}"
    told = attributes(run)
    assert told["grindstone.run.status"] == "completed"
    assert not [name for name in told if name.startswith("gen_ai.")], "it is no call of a model"
    assert {head["x-tenant"] for head in collector.headers} == {"grind"}
    [resource] = {str(r.resource) for each in collector.requests for r in each.resource_spans}
    assert '"grindstone"' in resource

    assert KEY not in collector.everything
    instruction = _instruction(ledger)
    assert instruction[:40] not in collector.everything, "no words unless they are asked for"
    assert "gen_ai.input.messages" not in collector.everything


def _instruction(ledger: Ledger) -> str:
    from grindstone.ledger.recall import recall

    [episode] = ledger.rows(Episode, "K")
    [seen] = recall(ledger, "K", [episode.episode_id])
    return next(s.message for s in seen.trajectory.steps if s.kind.value == "user")


async def test_words_go_with_it_where_they_are_asked_for(
    tmp_path: Path, prefect_server: str, collector: Collector, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    monkeypatch.setenv("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "500")
    await run_one(tmp_path)
    held = [attributes(span) for span in collector.spans]
    words = [each["gen_ai.output.messages"] for each in held if "gen_ai.output.messages" in each]
    assert words and all('"role": "assistant"' in each for each in words)
    results = [
        each["gen_ai.tool.call.result"] for each in held if "gen_ai.tool.call.result" in each
    ]
    assert results
    assert max(len(v) for each in held for v in each.values() if isinstance(v, str)) == 500
    assert KEY not in collector.everything


async def test_a_collector_that_is_gone_costs_nothing_and_is_told(
    tmp_path: Path, prefect_server: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    notes = await run_one(tmp_path)
    [told] = [note for note in notes if note.startswith("Telemetry")]
    assert "spans were lost, http://127.0.0.1:9" in told
    [episode] = Ledger(tmp_path).rows(Episode, "K")
    assert episode.passed is not None


@pytest.mark.commands
def test_nothing_of_it_is_imported_when_off() -> None:
    code = (
        "import sys, grindstone.flows.grind, grindstone.tasks.runtime\n"
        "print(sorted(n for n in sys.modules if n.startswith('opentelemetry.sdk')"
        " or n.startswith('opentelemetry.exporter') or n.startswith('google.protobuf')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
