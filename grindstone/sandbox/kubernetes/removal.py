"""Removing pods: those of one sandbox, and those that dead owners left."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

from kubernetes_asyncio.client import ApiException

from grindstone.errors import Cause, InfrastructureError
from grindstone.sandbox.kubernetes.cluster import NOT_FOUND, Cluster
from grindstone.sandbox.kubernetes.lease import SELECTOR as LEASES
from grindstone.sandbox.kubernetes.lease import expired
from grindstone.sandbox.kubernetes.manifest import LEASE_LABEL, SELECTOR, labels_of, owner_of
from grindstone.sandbox.owner import Owner, carries

GONE_WITHIN_S = 60.0
LOOK_S = 0.2


async def remove(cluster: Cluster, pod: str) -> None:
    """Remove a pod and wait until it is gone, as its node says.

    Raises:
        InfrastructureError: ENGINE_UNAVAILABLE, it is still there after a minute.
        ApiException, ClientError: As the client has them.
    """
    await cluster.delete_pod(pod)
    loop = asyncio.get_running_loop()
    stop_at, pause = loop.time() + GONE_WITHIN_S, LOOK_S
    while loop.time() < stop_at:
        try:
            await cluster.pod(pod)
        except ApiException as error:
            if error.status != NOT_FOUND:
                raise
            return
        await asyncio.sleep(pause)
        pause = min(pause * 2, 2.0)
    raise InfrastructureError(Cause.ENGINE_UNAVAILABLE, f"pod {pod} does not go away")


async def reap(cluster: Cluster, labels: Mapping[str, str]) -> int:
    """Remove the pods of dead owners, and those with `labels`; return how many.

    An owner is dead where its process is looked at on its own machine and not there, or where
    its lease is gone or was not renewed.
    """
    pods = await cluster.pods(SELECTOR)  # before the leases: a lease is older than its pods
    leases = await cluster.leases(LEASES)
    old = expired(leases, datetime.now(UTC))
    alive = {lease["metadata"]["name"] for lease in leases} - old
    doomed = []
    for pod in pods:
        owner = owner_of(pod)
        held = pod["metadata"]["labels"].get(LEASE_LABEL) in alive
        if carries(labels_of(pod), labels) or not held or owner is None or not owner.alive():
            doomed.append(pod["metadata"]["name"])
    await asyncio.gather(*(remove(cluster, name) for name in doomed))
    dead = {lease["metadata"]["name"] for lease in leases if _is_dead(owner_of(lease))}
    for name in old | dead:
        await cluster.delete_lease(name)
    return len(doomed)


def _is_dead(owner: Owner | None) -> bool:
    """Return whether a lease's process is gone; of a damaged one its age alone tells."""
    return owner is not None and not owner.alive()
