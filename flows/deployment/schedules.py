"""Whether active schedules make runs, and whether workers take them: asked of the server.

A schedule that is switched on says nothing about the service that is to make its runs.
"""

import time
from datetime import UTC, datetime
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateName,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType

from grindstone.base import Frozen
from grindstone.tasks.server_pages import each_of
from grindstone.text import minute

SCHEDULER_S = 75.0
"""How long the scheduler may take to make the runs of a schedule that is new or has changed.

It looks at such schedules every five seconds; one that it misses has its turn within a minute.
"""
TOO_LATE_S = 60.0
POLL_S = 1.0


class Schedules(Frozen):
    """What the server makes of the active schedules."""

    upcoming: dict[str, datetime]  # deployment → when its next run is due
    changed: tuple[str, ...]  # deployments whose schedules changed too lately to have runs
    idle: tuple[str, ...]  # deployments that are scheduled and have no run to come
    late: int  # runs that are overdue because no worker took them

    @property
    def fire(self) -> bool:
        """Whether every active schedule makes runs that are taken."""
        return not self.idle and not self.late

    def sentence(self, home: Path) -> str:
        """Return what a person should know."""
        told = []
        if self.idle:
            log = home / "server" / "server.log"
            told.append(f"no run is made for the schedules of {', '.join(self.idle)}, see {log}")
        if self.late:
            log = home / "server" / "worker.log"
            told.append(f"{self.late} runs are overdue and no worker takes them, see {log}")
        if told:
            return "; ".join(told)
        if self.upcoming:
            due = sorted(self.upcoming.items(), key=lambda item: item[1])
            told.append("next " + ", ".join(f"{name} {minute(when)} UTC" for name, when in due))
        if self.changed:
            told.append(f"runs are about to be made for {', '.join(self.changed)}")
        return "; ".join(told) or "none is switched on"


def look(api_url: str, login: str) -> Schedules:
    """Ask the server once."""
    now = datetime.now(UTC)
    upcoming: dict[str, datetime] = {}
    idle: list[str] = []
    changed: list[str] = []
    with SyncPrefectClient(api_url, auth_string=login) as client:
        for deployment in each_of(client.read_deployments):
            if deployment.paused or not any(item.active for item in deployment.schedules):
                continue
            waiting = each_of(
                client.read_flow_runs,
                deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id])),
                flow_run_filter=_in_state(StateType.SCHEDULED),
            )
            due = [run.expected_start_time for run in waiting if run.auto_scheduled]
            known = [when for when in due if when is not None]
            if known:
                upcoming[deployment.name] = min(known).astimezone(UTC)
            else:
                since = max(item.updated or now for item in (deployment, *deployment.schedules))
                fresh = (now - since).total_seconds() < SCHEDULER_S
                (changed if fresh else idle).append(deployment.name)
        named = FlowRunFilterState(name=FlowRunFilterStateName(any_=["Late"]))
        late = list(each_of(client.read_flow_runs, flow_run_filter=FlowRunFilter(state=named)))
    overdue = [
        run
        for run in late
        if run.expected_start_time is not None
        and (now - run.expected_start_time).total_seconds() > TOO_LATE_S
    ]
    return Schedules(
        upcoming=upcoming,
        changed=tuple(sorted(changed)),
        idle=tuple(sorted(idle)),
        late=len(overdue),
    )


def look_patiently(api_url: str, login: str) -> Schedules:
    """Ask the server until it is clear of every active schedule whether it makes runs.

    Late runs are not waited for: after a night without a worker there are some, and a worker
    that has just started takes them.
    """
    while True:
        found = look(api_url, login)
        if not found.changed:
            return found
        time.sleep(POLL_S)


def _in_state(kind: StateType) -> FlowRunFilter:
    return FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[kind])))
