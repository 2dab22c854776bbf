"""A cluster that somebody runs, for the tests of pods; seen with the rights its configuration has.

GRINDSTONE_TEST_KUBECONFIG   how it is reached, as the worker of deploy/kubernetes-sandboxes
GRINDSTONE_TEST_IMAGE        python:3.11-slim-bookworm in a registry of its nodes, by digest
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from kubernetes_asyncio import client, config
from support.cluster import NAMESPACE

CONFIG = "GRINDSTONE_TEST_KUBECONFIG"


class RealCluster:
    """What tests look at in it."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig

    @classmethod
    def configured(cls) -> Self | None:
        """Return the cluster that the environment names, if any."""
        named = os.environ.get(CONFIG)
        return cls(Path(named)) if named else None

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Any]:
        configuration: Any = client.Configuration()
        await config.load_kube_config(str(self.kubeconfig), client_configuration=configuration)
        async with client.ApiClient(configuration) as opened:
            yield opened

    async def pods(self) -> dict[str, Any]:
        """Return the namespace's pods by name."""
        async with self._connected() as opened:
            found = await client.CoreV1Api(opened).list_namespaced_pod(NAMESPACE)
            return _by_name(opened, found)

    async def leases(self) -> dict[str, Any]:
        """Return the namespace's leases by name."""
        async with self._connected() as opened:
            found = await client.CoordinationV1Api(opened).list_namespaced_lease(NAMESPACE)
            return _by_name(opened, found)


def _by_name(opened: Any, found: Any) -> dict[str, Any]:
    items = opened.sanitize_for_serialization(found)["items"]
    return {each["metadata"]["name"]: each for each in items}
