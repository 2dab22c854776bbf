"""What is recorded of runs and attempts as spans, by the GenAI semantic conventions.

Names and attributes are those of open-telemetry/semantic-conventions-genai (agent spans, inference,
`gen_ai.evaluation.result`); what it has no word for begins with `grindstone.`. A span's id is a
digest of what it stands for, so processes that never meet send parts of one trace.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from grindstone import __version__
from grindstone.digest import digest
from grindstone.ledger.tables.attempts import JudgeVerdictRow
from grindstone.ledger.tables.runs import RunRow
from grindstone.llm.calls import CallRecord
from grindstone.records import Episode, Outcome, Step, StepKind, Trajectory, Usage
from grindstone.telemetry.content import input_messages, output_messages, result_of, said_as_json

Value = str | bool | int | float | Sequence[str]

PROVIDERS = {"bedrock": "aws.bedrock", "vertex": "gcp.vertex_ai"}
"""Names of providers that the conventions call otherwise."""


class SpanEvent(NamedTuple):
    """Something that happened at a moment of a span."""

    name: str
    at: datetime
    attributes: Mapping[str, Value]


class SpanRecord(NamedTuple):
    """One span, whole."""

    name: str
    span_id: int
    parent_id: int | None
    start: datetime
    end: datetime
    attributes: Mapping[str, Value | None]
    client: bool = False
    """Whether it is a call of a service elsewhere."""
    error: str = ""
    events: tuple[SpanEvent, ...] = ()


def trace_id(home: str, run_key: str) -> int:
    """Return the 128 bits by which all spans of a run are one trace."""
    return int(digest(["trace", home, run_key])[:32], 16)


def run_span_id(run_key: str) -> int:
    """Return the 64 bits of a run's own span."""
    return _span_id("run", run_key)


def attempt_spans(
    episode: Episode,
    trajectory: Trajectory | None,
    calls: Sequence[CallRecord],
    *,
    content: bool = False,
) -> list[SpanRecord]:
    """Return an attempt, its model calls and its tools' executions.

    Args:
        episode: The attempt.
        trajectory: Its conversation; None: it has no score.
        calls: Of models, on its behalf.
        content: Whether words, arguments and results go with them.
    """
    own = _attempt_id(episode)
    steps = trajectory.steps if trajectory is not None else ()
    attributes: dict[str, Value | None] = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": episode.agent_id,
        "gen_ai.agent.version": episode.workspace_commit[:12],
        "gen_ai.conversation.id": episode.episode_id,
        "gen_ai.provider.name": _provider(calls[0]) if calls else None,
        "gen_ai.request.model": episode.model,
        **_usage(episode.usage),
        "error.type": episode.error_cause or None,
        "grindstone.run.key": episode.run_key,
        "grindstone.task.id": episode.task_id,
        "grindstone.task.digest": episode.task_digest,
        "grindstone.task.category": episode.category,
        "grindstone.purpose": episode.purpose.value,
        "grindstone.arm": episode.arm.value,
        "grindstone.cycle": episode.cycle,
        "grindstone.trial": episode.trial,
        "grindstone.profile": episode.profile,
        "grindstone.outcome": episode.outcome.value,
        "grindstone.stop_reason": episode.stop_reason,
        "grindstone.cost_usd": episode.cost_usd,
        "grindstone.rehearsal": episode.rehearsal,
    }
    whole = SpanRecord(
        f"invoke_agent {episode.agent_id}",
        own,
        run_span_id(episode.run_key),
        episode.started_at,
        episode.ended_at,
        attributes,
        error=episode.error_cause,
        events=() if episode.reward is None else (_verdict(episode),),
    )
    chats = [each for each in calls if each.scope == episode.episode_id]
    spoken = _spoken(steps, chats) if content else {}
    return [
        whole,
        *(call_span(call, own, more=spoken.get(call.call_id, {})) for call in chats),
        *_tools(episode, steps, own, content=content),
    ]


def run_spans(
    states: Sequence[RunRow],
    calls: Sequence[CallRecord],
    episodes: Sequence[Episode],
    judged: Sequence[JudgeVerdictRow],
) -> list[SpanRecord]:
    """Return a run, the calls it made beside its attempts, and the judge's evaluations.

    Args:
        states: The run's rows, at least one.
        calls: All calls of the run.
        episodes: Its attempts.
        judged: What the judge made of them.
    """
    first = min(states, key=lambda row: row.sequence)
    last = max(states, key=lambda row: row.sequence)
    own = run_span_id(last.run_key)
    failed = last.status == "failed"
    run = SpanRecord(
        f"run {last.kind}",
        own,
        None,
        first.at,
        last.at,
        {
            "grindstone.run.key": last.run_key,
            "grindstone.run.kind": last.kind,
            "grindstone.run.status": last.status,
            "grindstone.run.note": last.note,
            "grindstone.tasks": last.n_tasks,
            # A run is no call of a model, and would be taken for one by the conventions' names.
            "grindstone.agent": last.agent_id,
            "grindstone.model": last.model,
            "grindstone.rehearsal": last.rehearsal,
            "error.type": "run_failed" if failed else None,
        },
        error=last.note if failed else "",
    )
    attempts = {episode.episode_id: episode for episode in episodes}
    beside = [call_span(call, own) for call in calls if call.scope not in attempts]
    told = [
        _judgement(row, attempts[row.episode_id], last)
        for row in judged
        if row.episode_id in attempts and row.score is not None
    ]
    return [run, *beside, *told]


def call_span(
    call: CallRecord, parent_id: int, *, more: Mapping[str, Value] | None = None
) -> SpanRecord:
    """Return one call of a model; `more` are its words."""
    given_up = not call.answered
    return SpanRecord(
        f"chat {call.model}",
        _span_id("call", call.call_id, call.started_at.isoformat()),
        parent_id,
        call.started_at,
        call.started_at + timedelta(seconds=call.duration_s),
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": _provider(call),
            "gen_ai.request.model": call.model,
            "gen_ai.response.finish_reasons": [call.stop_reason] if call.stop_reason else None,
            **_usage(call.usage),
            "error.type": call.stop_reason if given_up else None,
            "grindstone.role": call.role.value,
            "grindstone.turn": call.turn,
            "grindstone.tries": call.tries,
            "grindstone.cost_usd": call.cost_usd,
            **(more or {}),
        },
        client=True,
        error=call.stop_reason if given_up else "",
    )


def _tools(
    episode: Episode, steps: Sequence[Step], parent_id: int, *, content: bool
) -> list[SpanRecord]:
    """Return the executions of tools; a step is recorded when its last one has ended."""
    spans = []
    for step in steps:
        end = step.at
        asked = {call.call_id: call for call in step.calls}
        for number in range(len(step.outputs) - 1, -1, -1):
            output = step.outputs[number]
            call = asked.get(output.call_id)
            start = end - timedelta(seconds=output.duration_s)
            name = call.name if call is not None else "tool"
            wrong = "timeout" if output.timed_out else "tool_error" if output.is_error else ""
            attributes: dict[str, Value | None] = {
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": name,
                "gen_ai.tool.call.id": output.call_id,
                "gen_ai.tool.type": "function",
                "error.type": wrong or None,
                "grindstone.step": step.index,
                "grindstone.exit_code": output.exit_code,
            }
            if content:
                arguments = call.arguments if call is not None else {}
                attributes["gen_ai.tool.call.arguments"] = said_as_json(arguments)
                attributes["gen_ai.tool.call.result"] = result_of(output)
            own = _span_id("tool", episode.episode_id, str(step.index), str(number))
            named = f"execute_tool {name}"
            spans.append(SpanRecord(named, own, parent_id, start, end, attributes, error=wrong))
            end = start
    return spans


def _spoken(steps: Sequence[Step], calls: Sequence[CallRecord]) -> dict[str, dict[str, Value]]:
    """Return, per call, what it was asked beyond the call before it, and what it answered."""
    said: dict[str, dict[str, Value]] = {}
    answers = [step for step in steps if step.kind is StepKind.AGENT and step.usage is not None]
    asked = [call for call in calls if call.answered and call.role.value == "solver"]
    before = 0
    for call, step in zip(sorted(asked, key=lambda each: each.started_at), answers, strict=False):
        said[call.call_id] = {
            "gen_ai.input.messages": input_messages(steps[before : step.index]),
            "gen_ai.output.messages": output_messages(step, call.stop_reason),
        }
        before = step.index
    return said


def _verdict(episode: Episode) -> SpanEvent:
    told = f"{episode.tests_passed} of {episode.tests_total} tests passed"
    return SpanEvent(
        "gen_ai.evaluation.result",
        episode.ended_at,
        {
            "gen_ai.evaluation.name": "verifier",
            "gen_ai.evaluation.score.value": float(episode.reward or 0.0),
            "gen_ai.evaluation.score.label": episode.outcome.value,
            "gen_ai.evaluation.explanation": told if episode.tests_total else "",
            "grindstone.evaluator": f"task {episode.task_id}",
            "grindstone.evaluator.digest": episode.task_digest,
            "grindstone.evaluator.basis": episode.basis,
            "grindstone.task.digest": episode.task_digest,
        },
    )


def _judgement(row: JudgeVerdictRow, episode: Episode, run: RunRow) -> SpanRecord:
    event = SpanEvent(
        "gen_ai.evaluation.result",
        episode.ended_at,
        {
            "gen_ai.evaluation.name": "judge",
            "gen_ai.evaluation.score.value": float(row.score or 0),
            "gen_ai.evaluation.score.label": row.outcome,
            "grindstone.evaluator": row.model or run.model,
            "grindstone.evaluator.version": __version__,
            "grindstone.task.digest": episode.task_digest,
        },
    )
    own = _span_id("judge", row.episode_id)
    at, attributes = episode.ended_at, {"grindstone.task.id": episode.task_id}
    return SpanRecord(
        "evaluate judge", own, _attempt_id(episode), at, at, attributes, events=(event,)
    )


def _attempt_id(episode: Episode) -> int:
    tried = episode.started_at.isoformat() if episode.outcome is Outcome.ERROR else ""
    return _span_id("attempt", episode.episode_id, tried)


def _span_id(*what: str) -> int:
    return int(digest(list(what))[:16], 16) or 1


def _provider(call: CallRecord) -> str:
    return PROVIDERS.get(call.provider, call.provider)


def _usage(usage: Usage) -> dict[str, Value | None]:
    """Return tokens as the conventions count them: of the prompt, cached ones are a part."""
    cached = usage.cache_read_tokens + usage.cache_write_tokens
    return {
        "gen_ai.usage.input_tokens": usage.input_tokens + cached,
        "gen_ai.usage.output_tokens": usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
    }
