"""A stand-in for a cluster: the part of Kubernetes' API that sandboxes use, over HTTP and
websockets, with real containers for pods (see `pods`).

Every object that is made is held against Kubernetes' own schema, every request against the role in
deploy/kubernetes-sandboxes. With `faults`, the next requests of a kind go wrong at the wire.
"""

import asyncio
import contextlib
import json
import threading
import uuid
from collections import defaultdict, deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from aiohttp import WSMsgType, web
from ruamel.yaml import YAML
from support.api_words import (
    SCHEMA,
    Object,
    asked,
    container,
    exited,
    problem,
    selection,
    status,
    verbs,
)
from support.pods import IMAGES, Node

NAMESPACE = "grindstone-sandboxes"
MANIFEST = Path(__file__).parents[2] / "deploy" / "kubernetes-sandboxes" / "sandboxes.yaml"
TOKEN = "the-worker's"
GROUPS = {"pods": "/api/v1", "configmaps": "/api/v1"}

VERSION = (
    *("major", "minor", "gitCommit", "gitTreeState", "buildDate"),
    *("goVersion", "compiler", "platform"),
)
"""What else an API server says of itself."""

EVENTS = (
    ("Warning", "FailedMount", "no config map"),
    ("Warning", "FailedCreatePodSandBox", "no cgroup"),
    ("Normal", "Pulling", "an image"),
)
"""What a kubelet says of a pod that it cannot create."""

DRAINED = {
    **{"type": "DisruptionTarget", "status": "True"},
    **{"reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting"},
}

STDIN, STDOUT, STDERR, STATUS, ENDS = 0, 1, 2, 3, 255


class Cluster:
    """An API and one node; a context manager that ends both."""

    def __init__(self, *, enforces: bool = True) -> None:
        self.node = Node(enforces=enforces)
        self.faults: defaultdict[str, deque[str]] = defaultdict(deque)
        self.requests: list[str] = []
        self.objects: defaultdict[str, dict[str, Object]] = defaultdict(dict)
        self.changed: list[tuple[str, Object]] = []
        manifest = list(YAML(typ="safe").load_all(MANIFEST.read_text()))
        [role] = [each for each in manifest if each["kind"] == "Role"]
        self.may = {
            (resource, verb)
            for rule in role["rules"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        self.objects["networkpolicies"] = {
            each["metadata"]["name"]: each for each in manifest if each["kind"] == "NetworkPolicy"
        }
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop: asyncio.Event
        self._news: asyncio.Condition
        self._background: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()
        self.node.close()

    def kubeconfig(self, path: Path) -> Path:
        """Write what a client needs in order to find it."""
        named = {"cluster": "here", "user": "worker", "namespace": NAMESPACE}
        text = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": self.url}}],
            "users": [{"name": "worker", "user": {"token": TOKEN}}],
            "contexts": [{"name": "here", "context": named}],
        }
        path.write_text(json.dumps(text))
        return path

    def call(self, function: Callable[[], Any]) -> Any:
        """Run something in the API's thread."""

        async def run() -> Any:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(30)

    async def pods(self) -> dict[str, Object]:
        """Return the namespace's pods by name."""
        return dict(self.objects["pods"])

    async def leases(self) -> dict[str, Object]:
        """Return the namespace's leases by name."""
        return dict(self.objects["leases"])

    def evict(self, pod: str, message: str) -> None:
        """End a pod as a kubelet does whose disk is full."""

        def evicted() -> None:
            found = self.objects["pods"][pod]
            self.node.end(found["metadata"]["uid"])
            found["status"] = {"phase": "Failed", "reason": "Evicted", "message": message}
            self._tell("MODIFIED", found)

        self.call(evicted)

    def drain(self, pod: str) -> None:
        """Begin to remove a pod, as for a node that is drained."""

        def drained() -> None:
            found = self.objects["pods"][pod]
            self.node.end(found["metadata"]["uid"])
            found["metadata"]["deletionTimestamp"] = datetime.now(UTC).isoformat()
            found["status"]["conditions"] = [DRAINED]

        self.call(drained)

    async def _run(self) -> None:
        self._stop, self._news = asyncio.Event(), asyncio.Condition()
        app = web.Application(client_max_size=8 << 20, middlewares=[self._admit])
        at = f"/{{group:api/v1|apis/.+/v1}}/namespaces/{NAMESPACE}/{{resource}}"
        app.router.add_get("/version/", self._version)
        app.router.add_get(at, self._list)
        app.router.add_post(at, self._create)
        app.router.add_get(at + "/{name}", self._read)
        app.router.add_patch(at + "/{name}", self._patch)
        app.router.add_delete(at + "/{name}", self._delete)
        app.router.add_get(at + "/{name}/exec", self._exec)
        runner = web.AppRunner(
            app, max_line_size=1 << 16, max_field_size=1 << 16, shutdown_timeout=1
        )
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    @web.middleware
    async def _admit(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return status(401, "Unauthorized")
        resource, verb = asked(request)
        self.requests.append(f"{verb} {resource}")
        for needed in verbs(resource, verb):
            if resource and (resource, needed) not in self.may:
                return status(403, "Forbidden", f"cannot {needed} {resource}")
        planned = self.faults[f"{verb} {resource}"]
        fault = planned.popleft() if planned else ""
        if fault.isdigit():
            return status(int(fault), "ServiceUnavailable")
        if fault == "dropped":
            assert request.transport is not None
            request.transport.close()
            return status(500, "Dropped")
        request["fault"] = fault
        answer: web.StreamResponse = await handler(request)
        if fault == "done, then 503":
            return status(503, "ServiceUnavailable")
        return answer

    async def _version(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "gitVersion": f"v{SCHEMA}.0",
                **dict.fromkeys(VERSION, ""),
            }
        )

    async def _create(self, request: web.Request) -> web.Response:
        kind, body = request.match_info["resource"], await request.json()
        name = body["metadata"]["name"]
        if refused := problem(body):
            return status(422, "Invalid", refused)
        if name in self.objects[kind]:
            return status(409, "AlreadyExists", f"{kind} {name!r} already exists")
        body["metadata"] |= {
            "namespace": NAMESPACE,
            "uid": str(uuid.uuid4()),
            "creationTimestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        self.objects[kind][name] = body
        if kind == "pods":
            body["status"] = {"phase": "Pending"}
            self._tell("ADDED", body)
            self._begin(self._hold(body) if request["fault"] == "held" else self._start(body))
        return web.json_response(body, status=201)

    def _begin(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _start(self, pod: Object) -> None:
        image = pod["spec"]["containers"][0]["image"]
        if image not in IMAGES:
            waiting = {"reason": "ImagePullBackOff", "message": f"Back-off pulling image {image}"}
            pod["status"]["containerStatuses"] = [container(image, {"waiting": waiting})]
        else:
            uid, maps = pod["metadata"]["uid"], self.objects["configmaps"]
            await asyncio.to_thread(self.node.start, uid, pod, maps)
            running = container(image, {"running": {}})
            pod["status"] = {"phase": "Running", "containerStatuses": [running]}
        self._tell("MODIFIED", pod)

    async def _hold(self, pod: Object) -> None:
        """Never create a pod's container, and say why as a kubelet does: in events alone."""
        image, waiting = pod["spec"]["containers"][0]["image"], {"reason": "ContainerCreating"}
        pod["status"]["containerStatuses"] = [container(image, {"waiting": waiting})]
        for minute, (kind, reason, message) in enumerate(EVENTS):
            self.objects["events"][reason] = {
                "metadata": {"name": reason},
                "involvedObject": {"name": pod["metadata"]["name"]},
                **{"type": kind, "reason": reason, "message": message},
                "lastTimestamp": f"2026-01-01T00:0{minute}:00Z",
            }
        self._tell("MODIFIED", pod)

    def _tell(self, what: str, pod: Object) -> None:
        self.changed.append((what, json.loads(json.dumps(pod))))

        async def news() -> None:
            async with self._news:
                self._news.notify_all()

        self._begin(news())

    async def _list(self, request: web.Request) -> web.StreamResponse:
        kind, wanted = request.match_info["resource"], selection(request)
        if request.query.get("watch", "").lower() == "true":
            return await self._watch(request, wanted)
        items = [each for each in self.objects[kind].values() if wanted(each)]
        return web.json_response(
            {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items}
        )

    async def _watch(
        self, request: web.Request, wanted: Callable[[Object], bool]
    ) -> web.StreamResponse:
        stream = web.StreamResponse()
        await stream.prepare(request)

        async def say(what: str, found: Object) -> None:
            await stream.write(json.dumps({"type": what, "object": found}).encode() + b"\n")

        if request["fault"] == "expired":
            gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
            await say("ERROR", gone)
            return stream
        at = len(self.changed)
        for found in [*self.objects["pods"].values()]:
            if wanted(found):
                await say("ADDED", found)
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(float(request.query["timeoutSeconds"])):
                while True:
                    while at < len(self.changed):
                        what, found = self.changed[at]
                        at += 1
                        if wanted(found):
                            await say(what, found)
                    async with self._news:
                        if at == len(self.changed):
                            await self._news.wait()
        return stream

    async def _read(self, request: web.Request) -> web.Response:
        kind, name = request.match_info["resource"], request.match_info["name"]
        if name not in self.objects[kind]:
            return status(404, "NotFound", f"{kind} {name!r} not found")
        return web.json_response(self.objects[kind][name])

    async def _patch(self, request: web.Request) -> web.Response:
        kind, name = request.match_info["resource"], request.match_info["name"]
        if name not in self.objects[kind]:
            return status(404, "NotFound")
        self.objects[kind][name]["spec"] |= (await request.json())["spec"]
        return web.json_response(self.objects[kind][name])

    async def _delete(self, request: web.Request) -> web.Response:
        kind, name = request.match_info["resource"], request.match_info["name"]
        found = self.objects[kind].get(name)
        if found is None:
            return status(404, "NotFound", f"{kind} {name!r} not found")
        if kind != "pods":
            return web.json_response(self.objects[kind].pop(name))
        if "deletionTimestamp" not in found["metadata"]:
            found["metadata"]["deletionTimestamp"] = datetime.now(UTC).isoformat()
            self._tell("MODIFIED", found)
            self._begin(self._remove(found))
        return web.json_response(found)

    async def _remove(self, pod: Object) -> None:
        await asyncio.to_thread(self.node.end, pod["metadata"]["uid"])
        self.objects["pods"].pop(pod["metadata"]["name"], None)
        self._tell("DELETED", pod)

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        pod = self.objects["pods"].get(request.match_info["name"])
        if pod is None:
            return status(404, "NotFound", "pods not found")
        if pod["status"]["phase"] != "Running":
            return status(500, "InternalError", "container not found")
        socket = web.WebSocketResponse(protocols=("v5.channel.k8s.io",), max_msg_size=64 << 20)
        await socket.prepare(request)
        assert socket.ws_protocol == "v5.channel.k8s.io"
        process = await self.node.execute(pod["metadata"]["uid"], request.query.getall("command"))
        feeding = asyncio.create_task(_feed(socket, process))
        limit = 40 if request["fault"] == "cut" else None
        try:
            for_all = asyncio.gather(
                _forward(socket, STDOUT, process.stdout, limit),
                _forward(socket, STDERR, process.stderr, limit),
            )
            if limit is None:
                await for_all
                code = await process.wait()
                with contextlib.suppress(ConnectionError):
                    await socket.send_bytes(bytes([STATUS]) + json.dumps(exited(code)).encode())
            else:
                with contextlib.suppress(ConnectionError):
                    await for_all
            if limit is not None and request.transport is not None:
                request.transport.abort()
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            await socket.close()
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        return socket


async def _feed(socket: web.WebSocketResponse, process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    async for message in socket:
        if message.type is not WSMsgType.BINARY:
            continue
        if message.data[0] == STDIN:
            with contextlib.suppress(OSError):
                process.stdin.write(message.data[1:])
                await process.stdin.drain()
        elif message.data == bytes([ENDS, STDIN]):
            process.stdin.close()
    # Whoever asked is gone: what reads or writes here sees it, as under a kubelet.
    process.stdin.close()


async def _forward(
    socket: web.WebSocketResponse, channel: int, stream: Any, limit: int | None
) -> None:
    while data := await stream.read(32_768):
        if limit is not None:
            raise ConnectionError
        with contextlib.suppress(ConnectionError):
            await socket.send_bytes(bytes([channel]) + data)
