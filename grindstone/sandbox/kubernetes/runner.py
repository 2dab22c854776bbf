"""The config map that brings the runner into pods.

The runner makes the namespace of a sealed run, so the agent, who is root in the pod, must not be
able to change it: a mounted config map is read-only, and this one cannot be changed in the cluster.
"""

import base64

from grindstone.digest import SHORT, digest_files
from grindstone.errors import Cause, InfrastructureError
from grindstone.sandbox.kubernetes.cluster import Cluster
from grindstone.sandbox.kubernetes.manifest import PREFIX
from grindstone.sandbox.runner import runner_binary


async def ensure_runner(cluster: Cluster, architecture: str) -> str:
    """Return the name of the config map that holds the runner, made where there is none.

    Raises:
        InfrastructureError: SANDBOX_START, one of that name holds something else.
    """
    content = runner_binary(architecture).read_bytes()
    name = f"grindstone-runner-{digest_files([('runner', content, True)])[:SHORT]}"
    data = {"runner": base64.b64encode(content).decode(), "root": ""}
    found = await cluster.config_map(name)
    if found is None:
        await cluster.create_config_map(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name, "labels": {f"{PREFIX}/runner": "1"}},
                "immutable": True,
                "binaryData": data,
            }
        )
        found = await cluster.config_map(name)
    if found is None or found.get("binaryData", {}).get("runner") != data["runner"]:
        problem = f"config map {name} is not the runner: remove it"
        raise InfrastructureError(Cause.SANDBOX_START, problem)
    return name
