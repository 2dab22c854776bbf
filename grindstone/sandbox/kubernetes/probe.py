"""Whether a cluster answers, and lets this process see its sandboxes."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from grindstone.errors import Cause, GrindstoneError, InputError
from grindstone.extras import has_extra, remedy
from grindstone.sandbox.capabilities import PROBE_TIMEOUT_S, Tool
from grindstone.sandbox.kubernetes.settings import NAMESPACE, KubernetesSettings

NAME = "kubernetes"


def probe() -> tuple[Tool, ...]:
    """Return the cluster, asked; one is asked only where a namespace for sandboxes is set."""
    try:
        settings = KubernetesSettings.read()
    except InputError as error:
        chosen = f"export {NAMESPACE}=grindstone-sandboxes"
        return (Tool(name=NAME, works=False, reason=str(error), remedy=chosen),)
    if not has_extra(NAME):
        reason = "its client is not installed"
        return (Tool(name=NAME, works=False, reason=reason, remedy=remedy(NAME)),)
    with ThreadPoolExecutor(1) as apart:  # whoever asks may be in an event loop of its own
        return (apart.submit(asyncio.run, _asked(settings.namespace)).result(),)


async def _asked(namespace: str) -> Tool:
    from grindstone.sandbox.kubernetes.cluster import Cluster, cluster_errors
    from grindstone.sandbox.kubernetes.manifest import SELECTOR

    cluster = None
    try:
        with cluster_errors(Cause.ENGINE_UNAVAILABLE):
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                cluster = await Cluster.open(namespace)
                version = await cluster.version()
                await cluster.pods(SELECTOR)
    except GrindstoneError as error:
        reason = str(error)[:300]
        may = f"kubectl auth can-i list pods --namespace {namespace}"
        return Tool(name=NAME, works=False, reason=reason, remedy=may)
    finally:
        if cluster is not None:
            await cluster.close()
    return Tool(name=NAME, works=True, version=version, detail=f"namespace {namespace}")
