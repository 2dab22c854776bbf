from collections.abc import AsyncIterator, Iterator

import pytest
from support.cluster import NAMESPACE, Cluster
from support.real_cluster import RealCluster
from support.sandboxes import IMAGES, Start, cache, sandbox, start

from grindstone.sandbox import SandboxProvider, open_provider
from grindstone.sandbox.kubernetes.provider import KubernetesProvider

__all__ = ["IMAGES", "Start", "cache", "sandbox", "start"]


@pytest.fixture(scope="session")
def pods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster | RealCluster]:
    """A cluster that enforces network policies, real where one is named; clients find it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRINDSTONE_KUBERNETES_NAMESPACE", NAMESPACE)
        patch.setenv("GRINDSTONE_KUBERNETES_IMAGES", "registry.test/tasks")
        if real := RealCluster.configured():
            patch.setenv("KUBECONFIG", str(real.kubeconfig))
            yield real
            return
        with Cluster() as running:
            config = running.kubeconfig(tmp_path_factory.mktemp("kubectl") / "config")
            patch.setenv("KUBECONFIG", str(config))
            yield running


@pytest.fixture
def cluster(pods: Cluster | RealCluster) -> Cluster:
    """The stand-in, for tests that make its faults."""
    if isinstance(pods, RealCluster):
        pytest.skip("a real cluster makes no faults to order")
    return pods


@pytest.fixture(
    params=[
        pytest.param("docker", marks=pytest.mark.docker),
        pytest.param("bubblewrap", marks=pytest.mark.bubblewrap),
        pytest.param(
            "kubernetes",
            marks=[pytest.mark.kubernetes, pytest.mark.catalogue(of="what pods promise too")],
        ),
    ]
)
async def provider(request: pytest.FixtureRequest) -> AsyncIterator[SandboxProvider]:
    """Each engine in turn, for what they all promise."""
    if request.param == "kubernetes":
        request.getfixturevalue("pods")
        opened: SandboxProvider = KubernetesProvider()
    else:
        opened = await open_provider(request.param)
    yield opened
    await opened.close()
