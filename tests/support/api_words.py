"""What a request to the stand-in for a cluster asks, what it refuses, and how it says so."""

import re
from collections.abc import Callable
from typing import Any

import kubernetes_validate
from aiohttp import web

SCHEMA = "1.36"
LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
MOST_DATA = 1 << 20
"""Bytes of a config map."""

Object = dict[str, Any]


def container(image: str, state: Object) -> Object:
    ready = "running" in state
    return {
        **{"name": "sandbox", "image": image, "imageID": image, "ready": ready},
        **{"restartCount": 0, "state": state},
    }


def exited(code: int) -> Object:
    if code == 0:
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": f"command terminated with non-zero exit code: exit code {code}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def asked(request: web.Request) -> tuple[str, str]:
    """Return the resource and the verb of a request, as roles name them."""
    resource = request.match_info.get("resource", "")
    if request.path.endswith("/exec"):
        return f"{resource}/exec", "get"
    if request.method == "GET":
        watching = request.query.get("watch", "").lower() == "true"
        verb = "get" if "name" in request.match_info else "watch" if watching else "list"
        return resource, verb
    return resource, {"POST": "create", "PATCH": "patch", "DELETE": "delete"}[request.method]


def verbs(resource: str, verb: str) -> list[str]:
    """Return what a role must allow for a request."""
    # A websocket is asked for by GET, and begins a command: since 1.35 that takes both.
    return ["get", "create"] if resource.endswith("/exec") else [verb]


def selection(request: web.Request) -> Callable[[Object], bool]:
    def wanted(found: Object) -> bool:
        metadata = found["metadata"]
        labels = [pair.split("=") for pair in request.query.get("labelSelector", "").split(",")]
        fields = [pair.split("=") for pair in request.query.get("fieldSelector", "").split(",")]
        return all(
            metadata.get("labels", {}).get(pair[0]) == pair[1] for pair in labels if pair[0]
        ) and all(_field(found, name[0]) == name[1] for name in fields if name[0])

    return wanted


def _field(found: Object, name: str) -> Any:
    value: Any = found
    for part in name.split("."):
        value = value[part]
    return value


def problem(body: Object) -> str:
    """Return why an API server would refuse an object; empty if it would not."""
    try:
        kubernetes_validate.validate(body, SCHEMA, strict=True)
    except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
        return str(error)
    if not NAME.fullmatch(body["metadata"]["name"]):
        return "metadata.name"
    for value in body["metadata"].get("labels", {}).values():
        if not LABEL.fullmatch(value):
            return f"metadata.labels: {value!r}"
    held = sum(len(value) * 3 // 4 for value in body.get("binaryData", {}).values())
    return "Too long" if held > MOST_DATA else ""


def status(code: int, reason: str, message: str = "") -> web.Response:
    text = {"kind": "Status", "status": "Failure", "code": code, "reason": reason}
    return web.json_response({**text, "message": message or reason}, status=code)
