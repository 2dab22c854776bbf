"""The sign of life of a process that has sandboxes in a cluster.

Reapers run on other machines, where a process cannot be looked at. Each provider has a Lease,
which it renews; its pods name it, and are anyone's to remove once it is gone or old.
"""

import asyncio
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from grindstone.errors import Cause, InfrastructureError
from grindstone.sandbox.kubernetes.cluster import Cluster, cluster_errors
from grindstone.sandbox.kubernetes.manifest import PREFIX, owner_annotation
from grindstone.sandbox.owner import this_process

LASTS_S = 600
"""Without a renewal; machines' clocks may differ by some minutes."""

RENEWAL_S = 60.0

LABEL = f"{PREFIX}/sandboxes"
SELECTOR = f"{LABEL}=1"


class OwnerLease:
    """This process's lease for one provider; belongs to one event loop."""

    def __init__(self, cluster: Cluster) -> None:
        self.name = f"grindstone-{secrets.token_hex(8)}"
        self._cluster = cluster
        self._renewing: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Make it, and renew it until `end`."""
        owner = this_process()
        await self._cluster.create_lease(
            {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {
                    "name": self.name,
                    "labels": {LABEL: "1"},
                    "annotations": owner_annotation(owner),
                },
                "spec": {
                    "holderIdentity": f"{owner.host} {owner.pid}",
                    "leaseDurationSeconds": LASTS_S,
                    "renewTime": _written(datetime.now(UTC)),
                },
            }
        )
        self._renewing = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEWAL_S)
            try:
                with cluster_errors(Cause.ENGINE_UNAVAILABLE):
                    await self._cluster.change_lease(
                        self.name, {"spec": {"renewTime": _written(datetime.now(UTC))}}
                    )
            except InfrastructureError:
                continue  # it lasts for several renewals

    async def end(self) -> None:
        """Renew it no longer and remove it; what carries its name may be removed by anyone."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
            self._renewing = None
            await self._cluster.delete_lease(self.name)


def expired(leases: Iterable[Mapping[str, Any]], now: datetime) -> set[str]:
    """Return the names of leases that were not renewed in time."""
    return {lease["metadata"]["name"] for lease in leases if _ends(lease["spec"]) < now}


def _ends(spec: Mapping[str, Any]) -> datetime:
    try:
        renewed = datetime.fromisoformat(str(spec["renewTime"]))
    except (KeyError, ValueError):
        return datetime.min.replace(tzinfo=UTC)
    return renewed + timedelta(seconds=int(spec.get("leaseDurationSeconds") or LASTS_S))


def _written(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
