import docker
import pytest
from docker.errors import NotFound
from support.cluster import Cluster
from support.real_cluster import RealCluster
from support.sandboxes import IMAGES

from grindstone.sandbox import SandboxProvider, StartSpec
from grindstone.sandbox.bubblewrap.sandbox import BubblewrapSandbox
from grindstone.sandbox.docker.sandbox import DockerSandbox
from grindstone.sandbox.kubernetes.sandbox import KubernetesSandbox


async def test_a_discarded_sandbox_is_gone_once_the_provider_has_waited(
    provider: SandboxProvider, request: pytest.FixtureRequest
) -> None:
    sandbox = await provider.start(StartSpec(image=IMAGES[provider.kind], name="thrown"))
    provider.discard(sandbox)
    await provider.reap()
    if isinstance(sandbox, DockerSandbox):
        client = docker.from_env()
        with pytest.raises(NotFound):
            client.containers.get(sandbox.container)
        client.close()
    elif isinstance(sandbox, KubernetesSandbox):
        cluster: Cluster | RealCluster = request.getfixturevalue("pods")
        assert sandbox.pod not in await cluster.pods()
    else:
        assert isinstance(sandbox, BubblewrapSandbox)
        assert not sandbox.box.folder.exists()
    await sandbox.close()  # closing again is fine
