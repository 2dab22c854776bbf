"""Trajectories in Harbor's Agent Trajectory Interchange Format.

Version 1.4 of RFC 0001 (docs/rfcs/0001-trajectory-format.md in Harbor), which later
versions read: steps count from 1; what concerns a model stands on agent steps alone;
`prompt_tokens` includes the cached ones; a result names a call of its own step. What the
format has no field for (exit codes, time-outs, refusals) is in the step's `extra`.
"""

from typing import Any

from pydantic import JsonValue

from grindstone import __version__
from grindstone.records import Episode, Step, StepKind, Trajectory, Usage

SCHEMA_VERSION = "ATIF-v1.4"

SOURCES = {
    StepKind.SYSTEM: "system",
    StepKind.USER: "user",
    StepKind.AGENT: "agent",
    StepKind.SUMMARY: "system",
}


def to_atif(episode: Episode, trajectory: Trajectory) -> dict[str, JsonValue]:
    """Return an attempt as an ATIF document, ready for `json.dumps`."""
    usage = trajectory.usage
    metrics: dict[str, Any] = {
        "total_prompt_tokens": prompt_tokens(usage),
        "total_completion_tokens": usage.output_tokens,
        "total_cached_tokens": usage.cache_read_tokens,
        "total_steps": len(trajectory.steps),
    }
    if episode.cost_usd is not None:
        metrics["total_cost_usd"] = episode.cost_usd
    agent: dict[str, Any] = {
        "name": f"grindstone-{episode.profile}" if episode.profile else "grindstone",
        "version": __version__,
        "extra": {"agent_id": episode.agent_id, "workspace_commit": episode.workspace_commit},
    }
    if episode.model:
        agent["model_name"] = episode.model
    return {
        "schema_version": SCHEMA_VERSION,
        "session_id": episode.episode_id,
        "agent": agent,
        "steps": [_step(step, number) for number, step in enumerate(trajectory.steps, start=1)],
        "final_metrics": metrics,
        "extra": {
            "run_key": episode.run_key,
            "task_id": episode.task_id,
            "purpose": episode.purpose.value,
            "arm": episode.arm,
            "cycle": episode.cycle,
            "trial": episode.trial,
            "outcome": episode.outcome.value,
            "reward": episode.reward,
            "rehearsal": episode.rehearsal,
            "stop_reason": trajectory.stop_reason.value,
            "submission": trajectory.submission,
        },
    }


def prompt_tokens(usage: Usage) -> int:
    """Return all tokens sent, cached ones included, as the format counts them."""
    return usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens


def _step(step: Step, number: int) -> dict[str, JsonValue]:
    source = SOURCES[step.kind]
    record: dict[str, Any] = {
        "step_id": number,
        "timestamp": step.at.isoformat(),
        "source": source,
        "message": step.message,
    }
    extra: dict[str, Any] = {}
    if step.kind is StepKind.SUMMARY:
        extra["summary"] = True
    if source == "agent":
        if step.reasoning:
            record["reasoning_content"] = step.reasoning
        if step.calls:
            record["tool_calls"] = [
                {"tool_call_id": c.call_id, "function_name": c.name, "arguments": c.arguments}
                for c in step.calls
            ]
        if step.usage is not None:
            record["metrics"] = {
                "prompt_tokens": prompt_tokens(step.usage),
                "completion_tokens": step.usage.output_tokens,
                "cached_tokens": step.usage.cache_read_tokens,
                "extra": {"cache_write_tokens": step.usage.cache_write_tokens},
            }
    elif step.usage is not None:
        extra["usage"] = step.usage.model_dump()
    known = {call.call_id for call in step.calls} if source == "agent" else set()
    if step.outputs and source != "user":
        results: list[dict[str, Any]] = []
        for output in step.outputs:
            result: dict[str, Any] = {"content": output.content}
            if output.call_id in known:
                result["source_call_id"] = output.call_id
            results.append(result)
        record["observation"] = {"results": results}
    if step.outputs:
        extra["outputs"] = [
            output.model_dump(mode="json", exclude={"content"}) for output in step.outputs
        ]
    if extra:
        record["extra"] = extra
    return record
