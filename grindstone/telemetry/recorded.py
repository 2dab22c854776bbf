"""Sending what a run recorded to whoever collects spans, where the environment names a place."""

import os
from collections.abc import Callable, Sequence

from grindstone.home import Home
from grindstone.ledger import Ledger
from grindstone.ledger.tables.attempts import JudgeVerdictRow
from grindstone.ledger.tables.runs import RunRow
from grindstone.llm.calls import CallRecord
from grindstone.records import Episode, Trajectory
from grindstone.telemetry.outlet import Outlet
from grindstone.telemetry.spans import SpanRecord, attempt_spans, run_spans, trace_id
from grindstone.telemetry.switch import switch_of


def open_outlet(home: Home, run_key: str, tell: Callable[[str], object]) -> Outlet | None:
    """Return where a run's spans go; None: nowhere, and nothing of OpenTelemetry is imported."""
    switch = switch_of(os.environ)
    if switch is None:
        return None
    place = str(home) if home.mirror is None else home.mirror.store.url  # the same on all machines
    return Outlet(switch, trace_id(place, run_key), tell)


def send_attempt(
    outlet: Outlet | None,
    episode: Episode,
    trajectory: Trajectory | None,
    calls: Sequence[CallRecord],
) -> None:
    """Send an attempt, in its own time; see `attempt_spans`."""
    if outlet is not None:
        outlet.put(lambda: attempt_spans(episode, trajectory, calls, content=outlet.content))


def send_run(outlet: Outlet | None, ledger: Ledger, run_key: str) -> None:
    """Send how a run ended, in its own time."""

    def make() -> list[SpanRecord]:
        return run_spans(
            ledger.rows(RunRow, run_key),
            ledger.rows(CallRecord, run_key),
            ledger.rows(Episode, run_key),
            ledger.rows(JudgeVerdictRow, run_key),
        )

    if outlet is not None:
        outlet.put(make)
