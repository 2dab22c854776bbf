"""Tasks that a run on another machine is to choose from, sent there as what an address names.

    <home>/tasks/sets/<digest>.json        in storage: each folder's name and its task's digest
    <home>/tasks/sets/<digest>/<name>      on a machine: a link to the folder, fetched once

The address stands where a run's settings name a folder of tasks, so the run's plan says the same
on every machine that goes on with it.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import JsonValue

from grindstone.benchmark import Task, load_task
from grindstone.digest import canonical_json, digest
from grindstone.errors import InputError
from grindstone.home import Home
from grindstone.remote.folders import TASKS, fetch_folder, put_folder
from grindstone.remote.mirror import Mirror
from grindstone.remote.place import address_of

SETS = f"{TASKS}/sets"


def put_tasks(mirror: Mirror, tasks: Iterable[Task]) -> str:
    """Put tasks into storage, those that are not there; return the address that names them all.

    Raises:
        InfrastructureError: The storage did not take them.
    """
    folders: dict[str, JsonValue] = {}
    for task in tasks:
        put_folder(mirror, task.path, task.digest)
        folders[task.path.name] = task.digest
    name = f"{SETS}/{digest(folders)}"
    mirror.store.put_new(f"{name}.json", canonical_json(folders).encode())
    return f"{mirror.store.url}/{name}"


def is_sent(place: Path | str) -> bool:
    """Return whether a folder of tasks is one that was sent, by its address."""
    return f"/{SETS}/" in str(place)


def tasks_folder(place: Path) -> Path:
    """Return where tasks are on this machine: the folder itself, or what an address names.

    Raises:
        InputError: The tasks are not in storage, or not as they were sent.
        InfrastructureError: The storage did not answer.
    """
    address = address_of(place) if is_sent(place) else None
    if address is None:
        return place
    where, _, name = address.rpartition(f"/{SETS}/")
    mirror = Home.at(where).mirror
    content = None if mirror is None else mirror.store.get(f"{SETS}/{name}.json")
    if mirror is None or content is None:
        raise InputError(address, "is not there", "tasks, put there by who sent the run")
    folder = mirror.root / SETS / name
    folder.mkdir(parents=True, exist_ok=True)
    for each, wanted in json.loads(content).items():
        if not (folder / each).exists():
            fetched = fetch_folder(mirror, wanted, each)
            if load_task(fetched).digest != wanted:
                raise InputError(str(fetched), "is not the task that was sent", "the same files")
            _link(folder / each, fetched)
    return folder


def _link(place: Path, target: Path) -> None:
    try:
        place.symlink_to(target)
    except FileExistsError:
        if not place.exists():  # else another process was faster
            place.unlink()
            place.symlink_to(target)
