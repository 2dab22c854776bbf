"""One connection to a cluster's API, its pauses when the API is busy, its errors in our terms."""

import asyncio
import json
import os
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, TypeVar

import aiohttp
from kubernetes_asyncio import client, config, watch
from kubernetes_asyncio.stream import WsApiClient

from grindstone.errors import Cause, InfrastructureError

T = TypeVar("T")

Object = dict[str, Any]
"""A Kubernetes object as its API writes it."""

CHANNELS = "v5.channel.k8s.io"
"""The protocol of an exec's websocket: the first in which standard input can end."""

CALL_TIMEOUT_S = 60

CONNECTIONS = 256
"""Calls at once; a running command holds one."""

PAUSES_S = (0.3, 1.0, 3.0, 8.0)
"""Before a call that a busy or restarting API did not answer is made again."""

BUSY = frozenset({429, 500, 502, 503, 504})

PING_S = 30.0
"""How often a silent connection is tried: what lies between closes those it takes for dead."""

FORBIDDEN, NOT_FOUND, CONFLICT, GONE = 403, 404, 409, 410


class Cluster:
    """The API as one namespace's; belongs to one event loop."""

    def __init__(self, configuration: Any, namespace: str) -> None:
        configuration.connection_pool_maxsize = CONNECTIONS
        self.namespace = namespace
        self.host: str = configuration.host
        self._client: Any = client.ApiClient(configuration)
        self._sockets: Any = WsApiClient(configuration, heartbeat=PING_S)
        self._core: Any = client.CoreV1Api(self._client)
        self._leases: Any = client.CoordinationV1Api(self._client)
        self._networking: Any = client.NetworkingV1Api(self._client)
        self._exec: Any = client.CoreV1Api(self._sockets)

    @classmethod
    async def open(cls, namespace: str) -> "Cluster":
        """Connect as a pod does, else as kubectl does (KUBECONFIG, its current context).

        Raises:
            InfrastructureError: ENGINE_UNAVAILABLE, neither is there.
        """
        configuration: Any = client.Configuration()
        try:
            if "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ:
                config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            else:
                await config.load_kube_config(
                    config_file=os.environ.get("KUBECONFIG"), client_configuration=configuration
                )
        except (config.ConfigException, OSError, ValueError) as error:
            raise InfrastructureError(Cause.ENGINE_UNAVAILABLE, f"no cluster: {error}") from error
        return cls(configuration, namespace)

    async def close(self) -> None:
        """Release the connections."""
        await self._client.close()
        await self._sockets.close()

    async def version(self) -> str:
        """Return the version of the API."""
        told = await self._call(client.VersionApi(self._client).get_code)
        return str(told["gitVersion"])

    async def create_pod(self, pod: Object) -> None:
        """Make a pod; one of that name, which nobody else draws, was made by a call before."""
        try:
            await self._in_namespace(self._core.create_namespaced_pod, body=pod)
        except client.ApiException as error:
            if error.status != CONFLICT:
                raise

    async def pod(self, name: str) -> Object:
        """Return a pod as it is now."""
        found: Object = await self._call(self._core.read_namespaced_pod, name, self.namespace)
        return found

    async def pods(self, selector: str) -> list[Object]:
        """Return the pods that a label selector finds."""
        return await self._list(self._core.list_namespaced_pod, label_selector=selector)

    async def delete_pod(self, name: str) -> None:
        """Begin to end a pod; one that is gone is fine."""
        await self._delete(self._core.delete_namespaced_pod, name)

    async def changes(self, name: str, wait_s: float) -> AsyncIterator[Object]:
        """Yield a pod as it is and as it changes, until it is gone or the time is up."""
        loop = asyncio.get_running_loop()
        stop_at = loop.time() + wait_s
        while (left := stop_at - loop.time()) > 0:
            seen = watch.Watch()
            try:
                async for event in seen.stream(
                    self._core.list_namespaced_pod,
                    self.namespace,
                    field_selector=f"metadata.name={name}",
                    timeout_seconds=max(1, int(left)),
                    _request_timeout=left + CALL_TIMEOUT_S,
                ):
                    yield event["raw_object"]
                    if event["type"] == "DELETED":
                        return
            except client.ApiException as error:
                if error.status not in BUSY | {GONE}:  # gone: what it knew of is too long ago
                    raise
                await asyncio.sleep(PAUSES_S[0])
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(PAUSES_S[0])
            finally:
                await seen.close()

    async def warnings_about(self, pod: str) -> list[Object]:
        """Return the events that warn of a pod; none where this process may not read them."""
        about = f"involvedObject.name={pod},type=Warning"
        try:
            return await self._list(self._core.list_namespaced_event, field_selector=about)
        except client.ApiException as error:
            if error.status != FORBIDDEN:
                raise
            return []

    async def config_map(self, name: str) -> Object | None:
        """Return a config map, None where there is none."""
        return await self._found(self._core.read_namespaced_config_map, name)

    async def create_config_map(self, body: Object) -> None:
        """Make a config map; one of that name is let be."""
        try:
            with warnings.catch_warnings():
                # A megabyte at once is what aiohttp warns of, and what the client gives it.
                warnings.simplefilter("ignore", ResourceWarning)
                await self._in_namespace(self._core.create_namespaced_config_map, body=body)
        except client.ApiException as error:
            if error.status != CONFLICT:
                raise

    async def policies(self) -> list[Object]:
        """Return the network policies."""
        return await self._list(self._networking.list_namespaced_network_policy)

    async def leases(self, selector: str) -> list[Object]:
        """Return the leases that a label selector finds."""
        return await self._list(self._leases.list_namespaced_lease, label_selector=selector)

    async def create_lease(self, body: Object) -> None:
        """Make a lease; one of that name, which nobody else draws, was made by a call before."""
        try:
            await self._in_namespace(self._leases.create_namespaced_lease, body=body)
        except client.ApiException as error:
            if error.status != CONFLICT:
                raise

    async def change_lease(self, name: str, body: Object) -> None:
        """Change what is given of a lease."""
        await self._call(self._leases.patch_namespaced_lease, name, self.namespace, body)

    async def delete_lease(self, name: str) -> None:
        """Remove a lease; one that is gone is fine."""
        await self._delete(self._leases.delete_namespaced_lease, name)

    @asynccontextmanager
    async def command(self, pod: str, command: list[str]) -> AsyncIterator[Any]:
        """Begin a command in a pod, and give the websocket of its three streams."""

        async def begin() -> Any:
            opening = await self._exec.connect_get_namespaced_pod_exec(
                pod,
                self.namespace,
                command=command,
                stdin=True,
                stdout=True,
                stderr=True,
                _preload_content=False,
                _headers={"sec-websocket-protocol": CHANNELS},
            )
            return await opening

        socket = await patiently(begin)
        try:
            yield socket
        finally:
            await socket.close()

    async def _in_namespace(self, call: Callable[..., Any], **kwargs: Any) -> Any:
        return await self._call(call, self.namespace, **kwargs)

    async def _list(self, call: Callable[..., Any], **kwargs: Any) -> list[Object]:
        found: list[Object] = (await self._in_namespace(call, **kwargs))["items"]
        return found

    async def _found(self, call: Callable[..., Any], name: str) -> Object | None:
        try:
            found: Object = await self._call(call, name, self.namespace)
        except client.ApiException as error:
            if error.status == NOT_FOUND:
                return None
            raise
        return found

    async def _delete(self, call: Callable[..., Any], name: str) -> None:
        try:
            await self._call(call, name, self.namespace)
        except client.ApiException as error:
            if error.status != NOT_FOUND:
                raise

    async def _call(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        async def once() -> Any:
            return await call(*args, _request_timeout=CALL_TIMEOUT_S, **kwargs)

        return self._client.sanitize_for_serialization(await patiently(once))


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Make a call that changes nothing by being made again; the last failure is raised."""
    for pause in PAUSES_S:
        try:
            return await call()
        except (client.ApiException, aiohttp.WSServerHandshakeError) as error:
            if error.status not in BUSY:
                raise
        except (aiohttp.ClientConnectionError, TimeoutError):
            pass
        await asyncio.sleep(pause)
    return await call()


@contextmanager
def cluster_errors(cause: Cause, pod: str = "") -> Iterator[None]:
    """Turn the client's errors into ours.

    Args:
        cause: What it is when the API answers and the pod is there.
        pod: The pod that the calls are about.
    """
    try:
        yield
    except (client.ApiException, aiohttp.WSServerHandshakeError) as error:
        told = _told(error)
        if error.status == NOT_FOUND and pod:
            raise InfrastructureError(Cause.CONTAINER_LOST, f"pod {pod}: {told}") from error
        raise InfrastructureError(
            Cause.ENGINE_UNAVAILABLE if error.status in BUSY else cause, told
        ) from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        problem = f"the cluster's API: {error or type(error).__name__}"
        raise InfrastructureError(Cause.ENGINE_UNAVAILABLE, problem) from error


def _told(error: Any) -> str:
    body = str(getattr(error, "body", "") or getattr(error, "message", ""))
    with suppress(ValueError, KeyError, TypeError):  # what lies between has words of its own
        body = str(json.loads(body)["message"])  # of a metav1.Status
    return f"{error.status} {getattr(error, 'reason', '') or ''}: {body[:600]}".strip(" :")
