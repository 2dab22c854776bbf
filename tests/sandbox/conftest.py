from collections.abc import AsyncIterator, Iterator

import pytest
from support.cluster import NAMESPACE, Cluster
from support.sandboxes import IMAGES, Start, cache, sandbox, start

from grindstone.sandbox import SandboxProvider, open_provider
from grindstone.sandbox.kubernetes.provider import KubernetesProvider

__all__ = ["IMAGES", "Start", "cache", "sandbox", "start"]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that enforces network policies; clients find it."""
    with Cluster() as running, pytest.MonkeyPatch.context() as patch:
        config = running.kubeconfig(tmp_path_factory.mktemp("kubectl") / "config")
        patch.setenv("KUBECONFIG", str(config))
        patch.setenv("GRINDSTONE_KUBERNETES_NAMESPACE", NAMESPACE)
        patch.setenv("GRINDSTONE_KUBERNETES_IMAGES", "registry.test/tasks")
        yield running


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
        request.getfixturevalue("cluster")
        opened: SandboxProvider = KubernetesProvider()
    else:
        opened = await open_provider(request.param)
    yield opened
    await opened.close()
