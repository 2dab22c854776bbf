"""What is deployed: the entries of prefect.yaml, as the user has changed them on the server.

Deploying an entry replaces what the server has of it. Its schedules, parameters, limits and
triggers are the user's from the first time on: switched, edited or deleted in the UI. So
they are read from the server and laid over the entry before it is deployed again, which then
brings only what is ours: code, form, description, tags. A deployment that was deleted is made
anew, with everything as prefect.yaml has it.

A newer prefect.yaml may bring a deployment more schedules. So the home remembers which it was ever
given (`Delivered`): one that is new is added as it is shipped, one that the user deleted is not.
Where the home does not know, since an older version deployed it, what is added is switched off.
"""

import json
import re
from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.responses import DeploymentResponse
from pydantic import ValidationError
from ruamel.yaml import YAML

from grindstone.base import Frozen
from grindstone.digest import digest
from grindstone.files import write_atomic
from grindstone.home import Home
from grindstone.resources import bundled
from grindstone.tasks.server_pages import each_of

Entry = dict[str, Any]
"""One deployment as prefect.yaml describes it."""

HOME = "{{ $GRINDSTONE_WORK_DIR }}"


class Delivered(Frozen):
    """What a home was ever given of prefect.yaml."""

    digest: str  # of the file that was deployed last
    schedules: dict[str, tuple[str, ...]]  # deployment → slugs
    zombies: bool = False  # the automation of `zombies.py`; who deletes it is not given it again

    @classmethod
    def of(cls, home: Path) -> "Delivered | None":
        """Return what was written down; None where nothing was."""
        try:
            return cls.model_validate_json(_delivered(home).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None


def is_delivered(home: Path) -> bool:
    """Return whether the prefect.yaml of this version is what the home was deployed with."""
    delivered = Delivered.of(home)
    return delivered is not None and delivered.digest == _shipped_digest()


def note_delivered(home: Path) -> None:
    """Write down that everything of prefect.yaml is deployed."""
    before = Delivered.of(home)
    known = dict(before.schedules) if before else {}
    for entry in _shipped()["deployments"]:
        slugs = [item["slug"] for item in entry.get("schedules", [])]
        known[entry["name"]] = tuple(sorted({*known.get(entry["name"], ()), *slugs}))
    now = Delivered(digest=_shipped_digest(), schedules=known, zombies=True)
    write_atomic(_delivered(home), now.model_dump_json(indent=1))


def write_definitions(client: SyncPrefectClient, home: Path, path: Path) -> None:
    """Write the file to deploy: prefect.yaml with what the server's user decided.

    Runs work in the home where it is a folder. One in object storage is none that another machine's
    worker could change into: its runs work in a folder that the worker makes.

    Args:
        client: Of the server.
        home: Whose.
        path: Where to.
    """
    document, delivered = _shipped(), Delivered.of(home)
    document.pop("definitions")
    there = each_of(client.read_deployments)
    known = {_identity(item.entrypoint, item.name): item for item in there}
    where = {"working_dir": HOME} if Home.at(home).mirror is None else {}
    for entry in document["deployments"]:
        entry["work_pool"] = entry["work_pool"] | {"job_variables": where}
        deployed = known.get(_identity(entry["entrypoint"], entry["name"]))
        if deployed is not None:
            new = _new_schedules(entry, deployed, delivered)
            entry.update(_decided(entry, deployed))
            entry["schedules"] += new
            _switch(entry.get("triggers", []), client, deployed)
    write_atomic(path, json.dumps(document, indent=1))  # JSON is YAML


def _new_schedules(
    entry: Entry, deployed: DeploymentResponse, delivered: Delivered | None
) -> list[Entry]:
    """Return the schedules of an entry that the home was never given."""
    had = {item.slug for item in deployed.schedules}
    if delivered is not None:
        had.update(delivered.schedules.get(entry["name"], ()))
    new = [dict(item) for item in entry.get("schedules", []) if item["slug"] not in had]
    return [item | {"active": item["active"] and delivered is not None} for item in new]


def _shipped() -> Entry:
    document: Entry = YAML(typ="safe", pure=True).load(bundled("prefect.yaml"))
    return document


def _shipped_digest() -> str:
    return digest(bundled("prefect.yaml").read_text("utf-8"))


def _delivered(home: Path) -> Path:
    return home / "server" / "delivered.json"


def _identity(entrypoint: str | None, name: str) -> tuple[str, str]:
    """Return what stays the same of a deployment when its flow moves to another module."""
    return re.split(r"[.:]", entrypoint or "")[-1], name


def _decided(entry: Entry, deployed: DeploymentResponse) -> Entry:
    """Return the part of an entry that is the user's."""
    found = deployed.model_dump(mode="json")
    former = found["job_variables"].pop("working_dir", None)  # another when the home was moved
    variables = _moved(found["job_variables"], former) | entry["work_pool"]["job_variables"]
    decided: Entry = {
        "schedules": [
            item["schedule"] | {name: item[name] for name in ("active", "parameters", "slug")}
            for item in found["schedules"]
        ],
        "parameters": _moved(found["parameters"], former),
        "paused": found["paused"],
        "work_pool": entry["work_pool"] | {"job_variables": variables},
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
