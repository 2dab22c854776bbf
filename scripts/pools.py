"""Makes the base job templates in deploy/pools from Prefect's own, read from standard input.

    python -m grindstone.flows.worker.work_pool --fresh-folder >deploy/pools/process.json
    prefect work-pool get-default-base-job-template --type docker |
        python scripts/pools.py docker >deploy/pools/docker.json    # where prefect-docker is
    prefect work-pool get-default-base-job-template --type kubernetes |
        python scripts/pools.py kubernetes >deploy/pools/kubernetes.json    # prefect-kubernetes

What is there was made with Prefect 3.8.8, prefect-docker 0.7.4 and prefect-kubernetes 0.8.0. A
person who may start runs sets variables, and must not come by more than a run through them: what
would name a command, a mount, a privilege or another cluster is fixed, not a variable.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

Template = dict[str, Any]

USER = 10001
"""Of deploy/Dockerfile."""

REGISTRY_IMAGE = "REGISTRY/grindstone"
SOCKET = "/var/run/docker.sock"

ENGINE_GROUP = {
    "title": "Engine Group",
    "description": f"The group that may use the engine: `stat -c %g {SOCKET}` where runs are made.",
    "type": "string",
    "default": "0",
}
PROCESSES = 4096
"""Of a run; each sandbox has a limit of its own."""


def docker(template: Template) -> Template:
    """Return the template of containers on the engine that their sandboxes are on as well."""
    _defaults(
        template,
        image=REGISTRY_IMAGE,
        image_pull_policy="IfNotPresent",
        auto_remove=True,
        mem_limit="4g",
        labels={"dev.grindstone.pool": "docker"},
        env={"GRINDSTONE_WORK_DIR": "s3://bucket/team"},
    )
    _fixed(template, "command", "name", "memswap_limit", "registry_credentials", "network_mode")
    # A sandbox with a network is given its way out through a folder, under one path for both.
    _fixed(template, privileged=False, volumes=[f"{SOCKET}:{SOCKET}", "/tmp:/tmp"])
    _fixed(
        template,
        container_create_kwargs={
            "user": f"{USER}:{USER}",
            "group_add": ["{{ engine_group }}"],
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "pids_limit": PROCESSES,
        },
    )
    template["variables"].pop("$defs")
    template["variables"]["properties"]["engine_group"] = ENGINE_GROUP
    return template


def kubernetes(template: Template) -> Template:
    """Return the template of jobs whose sandboxes are pods beside them."""
    _defaults(
        template,
        image=REGISTRY_IMAGE,
        namespace="grindstone",
        service_account_name="worker",
        finished_job_ttl=3600,
        cpu_request="500m",
        memory_request="1Gi",
        memory_limit="4Gi",
        labels={"grindstone.dev/pool": "kubernetes"},
        env={
            "GRINDSTONE_WORK_DIR": "s3://bucket/team",
            "GRINDSTONE_KUBERNETES_NAMESPACE": "grindstone-sandboxes",
            "GRINDSTONE_KUBERNETES_IMAGES": "REGISTRY/tasks",
        },
    )
    _fixed(template, "command", "name", "cluster_config")
    manifest = template["job_configuration"]["job_manifest"]
    job, pod = manifest["spec"], manifest["spec"]["template"]["spec"]
    for name in ("completions", "parallelism"):  # Prefect's own has them in the pod, where none is
        job[name] = pod.pop(name)
    manifest["metadata"]["generateName"] = "grindstone-"
    manifest["spec"]["template"]["metadata"] = {"labels": {"app": "worker", "api": "needed"}}
    pod["securityContext"] = {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "fsGroup": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    [container] = pod["containers"]
    del container["args"]
    container["envFrom"] = [{"secretRef": {"name": "grindstone-runs", "optional": True}}]
    container["securityContext"] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    template["variables"].pop("definitions")
    return template


def _defaults(template: Template, **defaults: Any) -> None:
    properties = template["variables"]["properties"]
    for name, value in defaults.items():
        properties[name]["default"] = value


def _fixed(template: Template, *left_out: str, **values: Any) -> None:
    """Take variables away: those left out go from the configuration too, others have a value."""
    for name in left_out:
        template["job_configuration"].pop(name)
    template["job_configuration"] |= values
    for name in (*left_out, *values):
        template["variables"]["properties"].pop(name)


KINDS: dict[str, Callable[[Template], Template]] = {"docker": docker, "kubernetes": kubernetes}

if __name__ == "__main__":
    print(json.dumps(KINDS[sys.argv[1]](json.load(sys.stdin)), indent=2))
