"""The work pool of local processes: its runs are flow runs and nothing else.

Prefect's own template of such a pool takes a `command` from a run's job variables, which the
worker executes in place of the flow. Ours has no such variable.

    python -m grindstone.flows.worker.work_pool > pool.json
    python -m grindstone.flows.worker.work_pool --fresh-folder > pool.json

The second is for homes in object storage.
"""

import json
import sys
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
from prefect.exceptions import ObjectNotFound
from prefect.workers.process import ProcessWorker

REFUSED = "command"

FOLDER = "working_dir"

Template = dict[str, Any]


def without_command(template: Template) -> Template:
    """Return a pool's template with nothing in it that names what a worker executes."""
    return _without(template, REFUSED)


def in_fresh_folders(template: Template) -> Template:
    """Return a pool's template whose runs begin in an empty folder each.

    A deployment names the home as the folder of its runs, and an address is none.
    """
    return _without(template, FOLDER)


def _without(template: Template, name: str) -> Template:
    variables = template["variables"]
    properties = {k: v for k, v in variables["properties"].items() if k != name}
    configured = {k: v for k, v in template["job_configuration"].items() if k != name}
    return template | {
        "job_configuration": configured,
        "variables": variables | {"properties": properties},
    }


def closed_template() -> Template:
    """Return the template of our pools."""
    return without_command(ProcessWorker.get_default_base_job_template())


def ensure_pool(client: SyncPrefectClient, name: str) -> None:
    """Make the pool, or close one that is there: its limits and defaults are the user's."""
    try:
        template = client.read_work_pool(name).base_job_template
    except ObjectNotFound:
        closed = closed_template()
        client.create_work_pool(
            WorkPoolCreate(name=name, type=ProcessWorker.type, base_job_template=closed)
        )
        return
    if REFUSED in template.get("job_configuration", {}):
        client.update_work_pool(name, WorkPoolUpdate(base_job_template=without_command(template)))


if __name__ == "__main__":
    made = closed_template()
    print(json.dumps(in_fresh_folders(made) if "--fresh-folder" in sys.argv else made, indent=2))
