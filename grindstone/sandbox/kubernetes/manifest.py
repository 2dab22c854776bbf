"""The pod that a sandbox is: nothing of the cluster's in it, and no way to it."""

import json
import re
import secrets
from collections.abc import Mapping
from typing import Any

from grindstone.digest import SHORT, digest
from grindstone.sandbox.owner import Owner, this_process
from grindstone.sandbox.protocol import HOSTNAME, Limits, StartSpec
from grindstone.sandbox.remote import RUNNER, RUNNER_DIR

PREFIX = "grindstone.dev"
"""Before the name of every label and annotation."""

SANDBOX_LABEL = f"{PREFIX}/sandbox"
LEASE_LABEL = f"{PREFIX}/lease"
RUN_LABEL = f"{PREFIX}/run"

SELECTOR = f"{SANDBOX_LABEL}=1"

_OWNER = f"{PREFIX}/owner"
_LABELS = f"{PREFIX}/labels"

CONTAINER = "sandbox"

LONGEST_S = 86_400
"""After which the cluster ends a pod that nobody ended (activeDeadlineSeconds)."""

CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "KILL"),
    *("SYS_ADMIN", "SETPCAP", "BLOCK_SUSPEND"),
)
"""The first six are the agent's, as on Docker. The rest are the runner's, for the namespace of a
sealed run; it gives them up before anything of the agent's runs. All hold in the pod's own user
namespace alone (hostUsers)."""

_API_PORT = "KUBERNETES_PORT_443_TCP"

THE_API = (
    *("KUBERNETES_PORT", _API_PORT, f"{_API_PORT}_ADDR", f"{_API_PORT}_PORT", f"{_API_PORT}_PROTO"),
    *("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBERNETES_SERVICE_PORT_HTTPS"),
)
"""Variables by which a kubelet tells every container where the API is, whatever
`enableServiceLinks` says; those that a pod names it leaves alone, and clients take an empty one for
none."""

MOST_RESERVED_MCPU = 100
"""Of a processor, for one sandbox: it waits for its model most of the time, and what a task asks
for is its limit. An attempt holds its agent's pod while it waits for its verifier's: attempts that
reserved all of a node would wait for each other."""


def pod_manifest(
    spec: StartSpec, *, lease: str, runner: str, architecture: str, runtime: str | None
) -> dict[str, Any]:
    """Return the pod of a sandbox, under a name that nobody else draws.

    Args:
        spec: What it is to be.
        lease: The name of its owner's lease.
        runner: The config map that holds the runner.
        architecture: Of the node: amd64, arm64.
        runtime: A RuntimeClass; None for the cluster's default.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", spec.name.lower()).strip("-")[:30].strip("-") or "sandbox"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"grindstone-{slug}-{secrets.token_hex(8)}",
            "labels": {
                SANDBOX_LABEL: "1",
                LEASE_LABEL: lease,
                RUN_LABEL: label_value(spec.labels.get("run_key", "none")),
            },
            "annotations": {
                **owner_annotation(this_process()),
                _LABELS: json.dumps({**spec.labels, "name": spec.name}),
            },
        },
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": LONGEST_S,
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "hostname": HOSTNAME,
            "hostUsers": False,
            "nodeSelector": {"kubernetes.io/arch": architecture, "kubernetes.io/os": "linux"},
            **({} if runtime is None else {"runtimeClassName": runtime}),
            # A node's own profile denies pivot_root to the sealed run; the runner brings a filter.
            "securityContext": {"seccompProfile": {"type": "Unconfined"}},
            "containers": [_container(spec)],
            "volumes": [
                {
                    "name": "runner",
                    "configMap": {
                        "name": runner,
                        "defaultMode": 0o555,
                        "items": [
                            {"key": "runner", "path": "runner"},
                            {"key": "root", "path": "root/empty"},
                        ],
                    },
                }
            ],
        },
    }


def _container(spec: StartSpec) -> dict[str, Any]:
    return {
        "name": CONTAINER,
        "image": spec.image,
        "imagePullPolicy": "IfNotPresent",
        "command": [RUNNER, "init", "--filter"],
        **({} if spec.workdir is None else {"workingDir": spec.workdir}),
        "env": [
            {"name": name, "value": _literal(value)}
            for name, value in {**dict.fromkeys(THE_API, ""), **spec.env}.items()
        ],
        "resources": _resources(spec.limits),
        "securityContext": {
            "privileged": False,
            "allowPrivilegeEscalation": False,
            "runAsUser": 0,  # of the pod's user namespace: nobody on the node
            "runAsGroup": 0,
            "capabilities": {"drop": ["ALL"], "add": list(CAPABILITIES)},
            # The usual profile denies mount to the sealed run as well, as on Docker.
            "appArmorProfile": {"type": "Unconfined"},
        },
        "volumeMounts": [{"name": "runner", "mountPath": RUNNER_DIR, "readOnly": True}],
    }


def _resources(limits: Limits) -> dict[str, dict[str, str]]:
    most = {
        "memory": f"{limits.memory_limit_mb}Mi",
        "ephemeral-storage": f"{limits.storage_mb}Mi",
    }
    reserved = MOST_RESERVED_MCPU
    if limits.cpus is not None:
        mcpu = max(1, round(limits.cpus * 1000))
        most["cpu"] = f"{mcpu}m"
        reserved = min(mcpu, reserved)
    return {
        "limits": most,
        "requests": {"memory": f"{limits.memory_mb}Mi", "cpu": f"{reserved}m"},
    }


def _literal(value: str) -> str:
    """Return a variable's value as Kubernetes hands it on unchanged: it replaces $(NAME)."""
    return value.replace("$(", "$$(")


def label_value(text: str) -> str:
    """Return what a label may hold and people can read; two texts give two values."""
    if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", text):
        return text
    mark = digest(text)[:SHORT]
    head = re.sub(r"[^A-Za-z0-9._-]+", "-", text)[: 62 - SHORT].strip("._-")
    return f"{head}-{mark}" if head else mark


def owner_annotation(owner: Owner) -> dict[str, str]:
    """Return what says on a pod or a lease whose it is."""
    return {_OWNER: json.dumps(owner._asdict())}


def owner_of(pod: Mapping[str, Any]) -> Owner | None:
    """Return whose a pod or a lease is, None where its annotations are damaged."""
    try:
        told = json.loads(pod["metadata"]["annotations"][_OWNER])
        return Owner.parse(*(str(told[name]) for name in Owner._fields))
    except (KeyError, TypeError, ValueError):
        return None


def labels_of(pod: Mapping[str, Any]) -> dict[str, str]:
    """Return the labels that a pod was started with, none where they are damaged."""
    try:
        told = json.loads(pod["metadata"]["annotations"][_LABELS])
        return {str(name): str(value) for name, value in told.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}
