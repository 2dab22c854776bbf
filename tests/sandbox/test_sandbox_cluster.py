"""What is of pods alone: faults of the API at the wire, isolation, what is refused, leases."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.cluster import NAMESPACE, Cluster
from support.pods import NAME_SERVER
from support.real_cluster import RealCluster
from support.sandboxes import IMAGES

from grindstone.errors import Cause, InfrastructureError, InputError
from grindstone.sandbox import BuildSpec, Limits, Sandbox, StartSpec, open_provider
from grindstone.sandbox.kubernetes import provider as starting
from grindstone.sandbox.kubernetes.provider import KubernetesProvider
from grindstone.sandbox.network.rules import NetworkRules
from grindstone.sandbox.reaping import reap_dead

pytestmark = [pytest.mark.kubernetes, pytest.mark.catalogue(of="a cluster's faults")]

SPEC = StartSpec(image=IMAGES["kubernetes"], name="pod", limits=Limits(memory_mb=256, cpus=0.5))


@pytest.fixture
async def provider(pods: Cluster | RealCluster) -> AsyncIterator[KubernetesProvider]:
    opened = KubernetesProvider()
    yield opened
    await opened.close()
    assert isinstance(pods, RealCluster) or not any(pods.faults.values()), pods.faults


@pytest.fixture
async def sandbox(provider: KubernetesProvider) -> Sandbox:
    return await provider.start(SPEC)


@pytest.mark.parametrize(
    ("request_", "faults"),
    [
        ("create pods", ["done, then 503"]),  # the second is told 409: it is there
        ("create pods", ["429", "dropped"]),
        ("watch pods", ["expired"]),  # 410 in the middle
        ("watch pods", ["503", "dropped"]),
        ("get pods/exec", ["503", "dropped"]),
        ("create configmaps", ["done, then 503"]),
        ("create leases", ["done, then 503"]),
    ],
)
async def test_what_goes_wrong_once_is_asked_again(
    provider: KubernetesProvider, cluster: Cluster, request_: str, faults: list[str]
) -> None:
    if request_ == "create configmaps":
        cluster.call(cluster.objects["configmaps"].clear)
    before = len(cluster.objects["pods"])
    cluster.faults[request_].extend(faults)
    sandbox = await provider.start(SPEC)
    assert (await sandbox.exec("echo on", timeout_s=10)).output == "on\n"
    assert len(cluster.objects["pods"]) == before + 1
    await sandbox.close()
    assert len(cluster.objects["pods"]) == before


async def test_an_api_that_stays_away_is_an_engine_that_does_not_answer(
    sandbox: Sandbox, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grindstone.sandbox.kubernetes.cluster.PAUSES_S", (0.1, 0.1))
    cluster.faults["get pods/exec"].extend(["503"] * 3)
    with pytest.raises(InfrastructureError) as caught:
        await sandbox.exec("true", timeout_s=5)
    assert caught.value.cause is Cause.ENGINE_UNAVAILABLE


async def test_a_connection_cut_in_a_command_is_an_error_and_nothing_of_it_runs_on(
    sandbox: Sandbox, cluster: Cluster
) -> None:
    cluster.faults["get pods/exec"].append("cut")
    command = "echo ran >>/tmp/ran; (while :; do echo x >>/tmp/log; sleep 0.05; done) & sleep 1030"
    with pytest.raises(InfrastructureError, match="broke off") as caught:
        await sandbox.exec(f"{command} & echo told; wait", timeout_s=5)
    assert caught.value.cause is Cause.SANDBOX_IO
    told = await sandbox.exec(
        "cat /tmp/ran; a=$(wc -c </tmp/log); sleep 0.5; b=$(wc -c </tmp/log); echo $((b - a))",
        timeout_s=10,
    )
    assert told.output == "ran\n0\n"  # once: what may have been done is not done again


async def test_a_connection_cut_as_a_file_moves_is_made_again(
    sandbox: Sandbox, cluster: Cluster
) -> None:
    await sandbox.write_files({"/tmp/file": b"content"})
    cluster.faults["get pods/exec"].append("cut")
    assert await sandbox.read_file("/tmp/file") == b"content"


async def test_an_evicted_pod_is_lost_with_its_reason(sandbox: Any, cluster: Cluster) -> None:
    running = asyncio.create_task(sandbox.exec("sleep 1031", timeout_s=60))
    await asyncio.sleep(0.5)
    await asyncio.to_thread(cluster.evict, sandbox.pod, "The node was low on ephemeral-storage.")
    with pytest.raises(InfrastructureError, match="Evicted: The node was low") as caught:
        await running
    assert caught.value.cause is Cause.CONTAINER_LOST


async def test_a_pod_of_a_drained_node_is_lost_with_its_reason(
    sandbox: Any, cluster: Cluster
) -> None:
    running = asyncio.create_task(sandbox.exec("sleep 1032", timeout_s=60))
    await asyncio.sleep(0.5)
    await asyncio.to_thread(cluster.drain, sandbox.pod)
    with pytest.raises(InfrastructureError, match="EvictionAPI: Eviction API: evict") as caught:
        await running
    assert caught.value.cause is Cause.CONTAINER_LOST


async def test_of_a_pod_that_is_never_created_its_last_warning_is_told(
    provider: KubernetesProvider, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grindstone.sandbox.kubernetes.starting.START_S", 1.0)
    cluster.faults["create pods"].append("held")
    with pytest.raises(InfrastructureError) as caught:
        await provider.start(SPEC)
    assert caught.value.cause is Cause.SANDBOX_START
    told = str(caught.value)
    assert told.endswith(": ContainerCreating, FailedCreatePodSandBox: no cgroup"), told


async def test_root_of_a_pod_is_nobody_of_the_machine_and_no_account_of_the_cluster(
    sandbox: Any, pods: Cluster | RealCluster
) -> None:
    told = await sandbox.exec(
        "cat /proc/self/uid_map; ls /var/run/secrets; env | grep -c '^KUBERNETES_.*=.'",
        timeout_s=10,
    )
    inside, outside, users = map(int, told.output.split()[:3])
    assert (inside, users) == (0, 65536)
    assert outside >= 65536
    assert "No such file" in told.output
    assert told.output.endswith("\n0\n")
    spec = (await pods.pods())[sandbox.pod]["spec"]
    assert (await sandbox.exec("grep Seccomp: /proc/self/status", timeout_s=10)).output[-2] == "2"
    assert spec["automountServiceAccountToken"] is False
    assert spec["activeDeadlineSeconds"] > 0
    resources = spec["containers"][0]["resources"]
    limits = {"memory": "384Mi", "cpu": "500m"}
    assert limits.items() <= resources["limits"].items()
    assert resources["limits"]["ephemeral-storage"] in {"10240Mi", "10Gi"}  # as an API rewrites it
    assert resources["requests"]["cpu"] == "100m", "attempts would wait for each other's processors"


async def test_a_pod_that_reaches_the_network_is_no_sandbox(
    provider: KubernetesProvider, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "ISOLATED_WITHIN_S", 2.0)
    monkeypatch.setattr(cluster.node, "enforces", False)
    before = set(cluster.objects["pods"])
    with pytest.raises(InfrastructureError, match=f"reaches {NAME_SERVER} 53: .* not enforce"):
        await provider.start(SPEC)
    assert set(cluster.objects["pods"]) == before


@pytest.mark.parametrize(
    ("policies", "problem"),
    [
        ({}, "no NetworkPolicy in it closes sandboxes"),
        ({"podSelector": {}, "policyTypes": ["Egress"]}, "no NetworkPolicy in it closes"),
        (
            {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]},
            "its NetworkPolicy other opens sandboxes",
        ),
        (
            {
                "podSelector": {"matchLabels": {"grindstone.dev/sandbox": "1"}},
                "policyTypes": ["Ingress"],
                "ingress": [{}],
            },
            "its NetworkPolicy other opens sandboxes",
        ),
    ],
)
async def test_a_namespace_that_is_not_closed_is_refused(
    provider: KubernetesProvider,
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    policies: dict[str, Any],
    problem: str,
) -> None:
    other = {"metadata": {"name": "other"}, "spec": policies}
    found = {"other": other} if policies else {}
    monkeypatch.setitem(cluster.objects, "networkpolicies", found)
    with pytest.raises(InputError, match=problem):
        await provider.start(SPEC)


async def test_what_a_worker_may_not_do_is_told(
    provider: KubernetesProvider, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "may", cluster.may - {("pods", "create")})
    with pytest.raises(InfrastructureError, match="403 Forbidden: cannot create pods") as caught:
        await provider.start(SPEC)
    assert caught.value.cause is Cause.SANDBOX_START


async def test_what_a_pod_cannot_do_is_refused_with_the_field(
    provider: KubernetesProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "Some task" / "environment"
    folder.mkdir(parents=True)
    spec = BuildSpec(context_dir=folder, context_digest="ab" * 32)
    assert await provider.build(spec) == "registry.test/tasks/some-task:abababababab"
    by_digest = f"example.org/x@sha256:{'1' * 64}"
    assert await provider.build(spec.model_copy(update={"image": by_digest})) == by_digest
    with pytest.raises(InputError, match=r"docker_image: example\.org/x:1 may be another image"):
        await provider.build(spec.model_copy(update={"image": "example.org/x:1"}))
    with pytest.raises(InputError, match=r"allow_internet: .* no network of mode 'public'"):
        await provider.start(SPEC.model_copy(update={"network": NetworkRules(mode="public")}))
    with pytest.raises(InputError, match=r"profile: .* cannot reach its model's proxy"):
        await provider.start(SPEC.model_copy(update={"listens": True}))
    monkeypatch.delenv("GRINDSTONE_KUBERNETES_IMAGES")
    with pytest.raises(InputError, match="Dockerfile: no image is built in a cluster"):
        await KubernetesProvider().build(spec)


async def test_pods_of_another_machine_are_let_be_while_their_lease_is_renewed(
    sandbox: Any, cluster: Cluster
) -> None:
    metadata = cluster.objects["pods"][sandbox.pod]["metadata"]
    owner = {"host": "another/00000000", "pid": 1, "started": "1"}
    metadata["annotations"]["grindstone.dev/owner"] = json.dumps(owner)

    async def reaped() -> int:
        return next(told.ended for told in await reap_dead() if told.kind == "kubernetes")

    assert await reaped() == 0
    name = metadata["labels"]["grindstone.dev/lease"]
    lease = cluster.objects["leases"][name]
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    lease["spec"]["renewTime"] = long_ago.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert await reaped() == 1
    assert sandbox.pod not in cluster.objects["pods"]
    assert name not in cluster.objects["leases"]


async def test_a_lease_is_renewed_and_removed_with_its_provider(
    pods: Cluster | RealCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grindstone.sandbox.kubernetes.lease.RENEWAL_S", 0.1)
    provider = KubernetesProvider()
    sandbox: Any = await provider.start(SPEC)
    pod = (await pods.pods())[sandbox.pod]
    name = pod["metadata"]["labels"]["grindstone.dev/lease"]
    first = (await pods.leases())[name]["spec"]["renewTime"]
    async with asyncio.timeout(5):
        while (await pods.leases())[name]["spec"]["renewTime"] == first:
            await asyncio.sleep(0.05)
    await provider.close()
    assert sandbox.pod not in await pods.pods()
    assert name not in await pods.leases()


async def test_a_cluster_is_asked_only_where_a_namespace_is_set(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = await open_provider("kubernetes")
    assert opened.kind == "kubernetes"
    await opened.close()
    assert NAMESPACE
    monkeypatch.delenv("GRINDSTONE_KUBERNETES_NAMESPACE")
    asked = len(cluster.requests)
    assert "kubernetes" not in [told.kind for told in await reap_dead()]
    assert len(cluster.requests) == asked
