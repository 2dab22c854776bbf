"""A run as Inspect's logs, so that `inspect view` and Scout open it: written by inspect_ai itself.

One log per arm of a comparison, for a metric over both would mean nothing; each attempt is a
sample, an attempt at the same task another epoch of it. inspect_ai is imported only here.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from math import sqrt
from pathlib import Path
from typing import Any

from grindstone import __version__
from grindstone.extras import from_extra
from grindstone.ledger import Ledger
from grindstone.ledger.recall import recall
from grindstone.ledger.tables.attempts import TestResultRow
from grindstone.ledger.tables.runs import RUNNING, RunRow
from grindstone.records import Episode, Outcome, Step, StepKind, ToolOutput, Trajectory, Usage

STATUS = {"completed": "success", RUNNING: "started", "failed": "error"}
"""Inspect's words for how a run ended; all others are cancelled."""

SCORER = "verifier"
_ROLES = {StepKind.SYSTEM: "system", StepKind.SUMMARY: "system", StepKind.USER: "user"}


def write_inspect_logs(ledger: Ledger, run_key: str, folder: Path) -> list[Path]:
    """Write a run's logs, named by the run and, where it compares, by the arm; return the files.

    Raises:
        InputError: inspect_ai is not installed.
    """
    with from_extra("inspect", "an export for Inspect"):
        from inspect_ai.log import EvalLog, write_eval_log
    written = []
    folder.mkdir(parents=True, exist_ok=True)
    for arm, document in log_documents(ledger, run_key).items():
        path = folder / f"{run_key}{f'-{arm}' if arm else ''}.eval"
        write_eval_log(EvalLog.model_validate(document), str(path))
        written.append(path)
    return written


def log_documents(ledger: Ledger, run_key: str) -> dict[str, dict[str, Any]]:
    """Return, by arm, what Inspect's `EvalLog` is made of."""
    states = ledger.rows(RunRow, run_key)
    last = max(states, key=lambda row: row.sequence)
    began = min(row.at for row in states).isoformat()
    arms: defaultdict[str, list[Episode]] = defaultdict(list)
    for episode in sorted(ledger.rows(Episode, run_key), key=lambda row: row.started_at):
        arms[episode.arm.value].append(episode)
    failed: defaultdict[str, list[str]] = defaultdict(list)
    for test in ledger.rows(TestResultRow, run_key):
        if test.status not in ("passed", "skipped"):
            failed[test.episode_id].append(test.name)
    return {
        arm: _log(last, began, arm, episodes, _samples(ledger, run_key, episodes, failed))
        for arm, episodes in arms.items()
    }


def _samples(
    ledger: Ledger, run_key: str, episodes: Sequence[Episode], failed: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """Return a sample for each attempt; an attempt at the same task is another epoch of it."""
    seen = {
        each.episode.episode_id: each.trajectory
        for each in recall(ledger, run_key, [row.episode_id for row in episodes])
    }
    tries: Counter[str] = Counter()
    samples = []
    for episode in episodes:
        tries[episode.task_id] += 1
        key = episode.episode_id
        samples.append(_sample(episode, tries[episode.task_id], seen.get(key), failed.get(key, ())))
    return samples


def _log(
    last: RunRow,
    began: str,
    arm: str,
    episodes: Sequence[Episode],
    samples: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """Return the log of one arm of a run, by the run's last state and when it began."""
    tries = Counter(episode.task_id for episode in episodes)
    usage = sum((episode.usage for episode in episodes), start=Usage())
    document: dict[str, Any] = {
        "version": 2,
        "status": STATUS.get(last.present_status, "cancelled"),
        "eval": {
            "run_id": last.run_key,
            "created": began,
            "task": f"{last.kind}{f' {arm}' if arm else ''}",
            "task_id": f"{last.run_key}{arm}",
            "dataset": {
                "name": "grindstone",
                "samples": len(tries),
                "sample_ids": sorted(tries),
            },
            "model": last.model or "none",
            "solver": last.profile or None,
            "config": {"epochs": max(tries.values())},
            "packages": {"grindstone": __version__},
            "metadata": {
                "run_key": last.run_key,
                "agent_id": last.agent_id,
                "arm": arm,
                "rehearsal": last.rehearsal,
            },
        },
        "results": _results(episodes),
        "stats": {
            "started_at": began,
            "completed_at": last.at.isoformat(),
            "model_usage": {last.model: _usage(usage)} if last.model else {},
        },
        "samples": samples,
    }
    if document["status"] == "error":
        document["error"] = _error(last.note)
    return document


def _sample(
    episode: Episode, epoch: int, trajectory: Trajectory | None, failed: Sequence[str]
) -> dict[str, Any]:
    steps = trajectory.steps if trajectory is not None else ()
    messages = [message for step in steps for message in _messages(step, episode.model)]
    answers = [message for message in messages if message["role"] == "assistant"]
    asked = next((step.message for step in steps if step.kind is StepKind.USER), episode.task_id)
    sample: dict[str, Any] = {
        "id": episode.task_id,
        "epoch": epoch,
        "uuid": episode.episode_id,
        "input": asked,
        "target": "",
        "messages": messages,
        "metadata": episode.model_dump(
            mode="json",
            include={
                "cycle",
                "trial",
                "category",
                "difficulty",
                "purpose",
                "outcome",
                "task_digest",
            }
            | {"workspace_commit", "stop_reason", "failure_class", "cost_usd", "basis"},
        ),
        "started_at": episode.started_at.isoformat(),
        "completed_at": episode.ended_at.isoformat(),
        "total_time": episode.duration_s,
        "model_usage": {episode.model: _usage(episode.usage)} if episode.model else {},
    }
    if answers:
        sample["output"] = {
            "model": episode.model,
            "choices": [{"message": answers[-1], "stop_reason": "stop"}],
            "usage": _usage(episode.usage),
        }
    if episode.outcome is Outcome.ERROR:
        sample["error"] = _error(f"{episode.error_cause}: {episode.error_detail}")
    elif episode.reward is not None:
        told = f"{episode.tests_passed} of {episode.tests_total} tests passed"
        sample["scores"] = {
            SCORER: {
                "value": episode.reward,
                "answer": trajectory.submission if trajectory is not None else None,
                "explanation": "; ".join([told, *(f"failed: {name}" for name in failed)]),
                "metadata": {"evaluator_digest": episode.task_digest, "passed": episode.passed},
            }
        }
    return sample


def _messages(step: Step, model: str) -> list[dict[str, Any]]:
    if step.kind is not StepKind.AGENT:
        return [{"id": f"m{step.index}", "role": _ROLES[step.kind], "content": step.message}]
    content: list[dict[str, Any]] = [{"type": "text", "text": step.message}]
    if step.reasoning:
        content.insert(0, {"type": "reasoning", "reasoning": step.reasoning})
    said: dict[str, Any] = {
        "id": f"m{step.index}",
        "role": "assistant",
        "source": "generate",
        "model": model or None,
        "content": content,
        "tool_calls": [
            {"id": call.call_id, "function": call.name, "arguments": call.arguments}
            for call in step.calls
        ],
    }
    named = {call.call_id: call.name for call in step.calls}
    gave = [
        {
            "id": f"m{step.index}.{number}",
            "role": "tool",
            "tool_call_id": output.call_id,
            "function": named.get(output.call_id),
            "content": output.content,
            "error": _tool_error(output),
            "metadata": {"exit_code": output.exit_code, "duration_s": output.duration_s},
        }
        for number, output in enumerate(step.outputs)
    ]
    return [said, *gave]


def _tool_error(output: ToolOutput) -> dict[str, str] | None:
    if output.timed_out:
        return {"type": "timeout", "message": "ended at its time limit"}
    return {"type": "unknown", "message": "it was refused"} if output.is_error else None


def _results(episodes: Sequence[Episode]) -> dict[str, Any]:
    scored = [episode for episode in episodes if episode.reward is not None]
    rewards = [episode.reward or 0.0 for episode in scored]
    metrics = {}
    if rewards:
        mean = sum(rewards) / len(rewards)
        spread = sum((reward - mean) ** 2 for reward in rewards) / max(1, len(rewards) - 1)
        passed = sum(bool(episode.passed) for episode in scored) / len(scored)
        for name, value in (
            ("accuracy", passed),
            ("mean", mean),
            ("stderr", sqrt(spread / len(rewards))),
        ):
            metrics[name] = {"name": name, "value": value}
    return {
        "total_samples": len(episodes),
        "completed_samples": len(scored),
        "scores": [{"name": SCORER, "scorer": SCORER, "metrics": metrics}],
    }


def _usage(usage: Usage) -> dict[str, int]:
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "input_tokens_cache_read": usage.cache_read_tokens,
        "input_tokens_cache_write": usage.cache_write_tokens,
    }


def _error(message: str) -> dict[str, str]:
    return {"message": message, "traceback": message, "traceback_ansi": message}
