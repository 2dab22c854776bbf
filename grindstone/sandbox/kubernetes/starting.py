"""Waiting for a pod to run, and telling why one never will."""

from collections.abc import Mapping
from typing import Any

from grindstone.errors import Cause, InfrastructureError
from grindstone.sandbox.kubernetes.cluster import Cluster
from grindstone.sandbox.kubernetes.sandbox import why_ended

START_S = 600.0
"""For a place on a node, its image and its first process; nodes may have to be added."""

NEVER = frozenset(
    {
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)
"""Reasons for which a container waits that waiting does not mend."""


async def wait_until_running(cluster: Cluster, name: str, image: str) -> None:
    """Return once a pod runs.

    Raises:
        InfrastructureError: SANDBOX_START with what the cluster says of it.
    """
    told = "it was not looked at"
    async for pod in cluster.changes(name, START_S):
        status = pod.get("status") or {}
        if status.get("phase") == "Running":
            return
        if status.get("phase") in {"Failed", "Succeeded"} or pod["metadata"].get(
            "deletionTimestamp"
        ):
            raise InfrastructureError(Cause.SANDBOX_START, f"pod {name}: {why_ended(pod)}")
        told = _why_waiting(status) or told
        if told.partition(":")[0] in NEVER:
            break
    else:
        told = ", ".join([told, *_newest(await cluster.warnings_about(name))])
    raise InfrastructureError(Cause.SANDBOX_START, f"pod {name}, image {image}: {told}")


def _why_waiting(status: Mapping[str, Any]) -> str:
    for container in status.get("containerStatuses") or []:
        if waiting := (container.get("state") or {}).get("waiting"):
            return _said(waiting)
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return _said(condition)
    return ""


def _said(state: Mapping[str, Any]) -> str:
    return ": ".join(filter(None, (state.get("reason"), state.get("message"))))


def _newest(events: list[dict[str, Any]]) -> list[str]:
    """Return what the last event of a pod says: a container that is being created tells no more."""
    last = max(events, key=_when, default=None)
    return [] if last is None else [_said(last)]


def _when(event: Mapping[str, Any]) -> str:
    times = (event.get("lastTimestamp"), event.get("eventTime"))
    return next((time for time in times if time), event["metadata"].get("creationTimestamp") or "")
