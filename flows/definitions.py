"""What is deployed: the entries of prefect.yaml, as the user has changed them on the server.

Deploying an entry replaces what the server has of it. Its schedules, parameters, limits and
triggers are the user's from the first time on: switched, edited or deleted in the UI. So
they are read from the server and laid over the entry before it is deployed again, which then
brings only what is ours: code, form, description, tags. A deployment that was deleted is made
anew, with everything as prefect.yaml has it.
"""

import json
import re
from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from ruamel.yaml import YAML

from grindstone.files import write_atomic
from grindstone.resources import bundled

Entry = dict[str, Any]
"""One deployment as prefect.yaml describes it."""

HOME = "{{ $GRINDSTONE_WORK_DIR }}"


def write_definitions(api_url: str, path: Path) -> None:
    """Write the file to deploy: prefect.yaml with what the server's user decided.

    Args:
        api_url: Of the server.
        path: Where to.
    """
    document = YAML(typ="safe", pure=True).load(bundled("prefect.yaml"))
    document.pop("definitions")
    with SyncPrefectClient(api_url) as client:
        known = {_identity(item.entrypoint, item.name): item for item in client.read_deployments()}
        for entry in document["deployments"]:
            deployed = known.get(_identity(entry["entrypoint"], entry["name"]))
            if deployed is not None:
                entry.update(_decided(entry, deployed))
                _switch(entry.get("triggers", []), client, deployed)
    write_atomic(path, json.dumps(document, indent=1))  # JSON is YAML


def has_pool(api_url: str, name: str) -> bool:
    """Return whether the server has a work pool of that name."""
    with SyncPrefectClient(api_url) as client:
        try:
            client.read_work_pool(name)
        except ObjectNotFound:
            return False
    return True


def _identity(entrypoint: str | None, name: str) -> tuple[str, str]:
    """Return what stays the same of a deployment when its flow moves to another module."""
    return re.split(r"[.:]", entrypoint or "")[-1], name


def _decided(entry: Entry, deployed: DeploymentResponse) -> Entry:
    """Return the part of an entry that is the user's."""
    found = deployed.model_dump(mode="json")
    former = found["job_variables"].get("working_dir")  # another one when the home was moved
    decided: Entry = {
        "schedules": [
            item["schedule"] | {name: item[name] for name in ("active", "parameters", "slug")}
            for item in found["schedules"]
        ],
        "parameters": _moved(found["parameters"], former),
        "paused": found["paused"],
        "work_pool": entry["work_pool"] | {"job_variables": _moved(found["job_variables"], former)},
    }
    if found["global_concurrency_limit"] is not None:
        limit, options = found["global_concurrency_limit"]["limit"], found["concurrency_options"]
        decided["concurrency_limit"] = {"limit": limit} | options if options else limit
    return decided


def _moved(value: Any, former: str | None) -> Any:
    """Return a value with the home's place left open where it was spelled out."""
    if isinstance(value, dict):
        return {name: _moved(item, former) for name, item in value.items()}
    if isinstance(value, list):
        return [_moved(item, former) for item in value]
    return HOME if former and value == former else value


def _switch(triggers: list[Entry], client: SyncPrefectClient, deployed: DeploymentResponse) -> None:
    """Switch triggers on or off as their automations on the server are."""
    if not triggers:
        return
    found = client.read_resource_related_automations(f"prefect.deployment.{deployed.id}")
    enabled = {item.name: item.enabled for item in found}
    for number, trigger in enumerate(triggers, start=1):
        name = trigger.get("name", f"{deployed.name}__automation_{number}")
        trigger["enabled"] = enabled.get(name, trigger.get("enabled", True))
