"""What a task asks of a sandbox provider."""

from collections.abc import Mapping

from grindstone.benchmark.task import Task
from grindstone.digest import digest_tree
from grindstone.sandbox.network.rules import NetworkRules
from grindstone.sandbox.protocol import BuildSpec, StartSpec

VERIFIER_DOCKERFILE = "Dockerfile"
"""In tests/: the image of a separate verifier, with the tests in it."""


def build_spec(task: Task) -> BuildSpec:
    """Return what the agent's image is built from."""
    return BuildSpec(
        context_dir=task.environment_dir,
        context_digest=task.environment_digest,
        image=task.image,
        timeout_s=task.build_timeout_s,
    )


def start_spec(task: Task, image: str, *, labels: Mapping[str, str] | None = None) -> StartSpec:
    """Return what the agent's sandbox is to be; `image` is what the build returned."""
    return StartSpec(
        image=image,
        name=task.task_id,
        limits=task.limits,
        network=_while_the_agent_works(task),
        env=task.env | task.agent_env,
        workdir=task.workdir,
        labels=dict(labels or {}),
    )


def _while_the_agent_works(task: Task) -> NetworkRules:
    """Return the agent's network, with a door that opens to nobody where the tests need one.

    A sandbox that was started without a door gets none later.
    """
    if task.network.mode != "none" or (task.verifier_network or task.network).mode == "none":
        return task.network
    return NetworkRules(mode="allowlist")


def verifier_build_spec(task: Task) -> BuildSpec:
    """Return what a separate verifier's image is built from.

    Harbor's order: the image task.toml names, tests/Dockerfile, the task's own environment.
    """
    if task.verifier_image is None and (task.tests_dir / VERIFIER_DOCKERFILE).is_file():
        return BuildSpec(
            context_dir=task.tests_dir,
            context_digest=digest_tree(task.tests_dir),
            timeout_s=task.build_timeout_s,
        )
    if task.verifier_image is None:
        return build_spec(task)
    return build_spec(task).model_copy(update={"image": task.verifier_image})


def verifier_start_spec(
    task: Task, image: str, *, labels: Mapping[str, str] | None = None
) -> StartSpec:
    """Return what a separate verifier's sandbox is to be."""
    return start_spec(task, image, labels=labels).model_copy(
        update={
            "name": f"{task.task_id}-verifier",
            "limits": task.verifier_limits or task.limits,
            "network": task.verifier_network or task.network,
            "env": task.env,
        }
    )
