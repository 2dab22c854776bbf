"""Sandboxes as pods: started, isolated, labelled and reaped."""

import asyncio
import re
from collections.abc import Mapping

from grindstone.digest import SHORT
from grindstone.errors import Cause, InfrastructureError, InputError
from grindstone.sandbox.closing import Closings
from grindstone.sandbox.kubernetes.cluster import Cluster, cluster_errors
from grindstone.sandbox.kubernetes.isolation import require_policy, targets
from grindstone.sandbox.kubernetes.lease import OwnerLease
from grindstone.sandbox.kubernetes.manifest import pod_manifest
from grindstone.sandbox.kubernetes.removal import reap
from grindstone.sandbox.kubernetes.runner import ensure_runner
from grindstone.sandbox.kubernetes.sandbox import KubernetesSandbox
from grindstone.sandbox.kubernetes.settings import IMAGES, KubernetesSettings
from grindstone.sandbox.kubernetes.starting import wait_until_running
from grindstone.sandbox.protocol import BuildSpec, Sandbox, StartSpec
from grindstone.sandbox.registry import Kind

BY_DIGEST = re.compile(r".+@sha256:[0-9a-f]{64}")

ISOLATED_WITHIN_S = 30.0
"""How long a network plugin may take to close a new pod."""

REACH_S = 1.5
"""How long an address that does not answer is waited for: what every start costs."""


class KubernetesProvider:
    """Pods in the namespace of `GRINDSTONE_KUBERNETES_NAMESPACE`; belongs to one event loop.

    Differs from Docker: no image is built, only networks of mode `none` are given, and a pod
    that takes too much memory or disk is ended whole.

    Args:
        runtime: A RuntimeClass (gvisor, say); None for the cluster's default.

    Raises:
        InputError: A setting is missing or unusable.
    """

    kind: Kind = "kubernetes"

    def __init__(self, runtime: str | None = None) -> None:
        self._settings = KubernetesSettings.read()
        self._runtime = runtime
        self._cluster: Cluster | None = None
        self._lease: OwnerLease | None = None
        self._runner = ""
        self._preparing = asyncio.Lock()
        self._open: set[KubernetesSandbox] = set()
        self._closings = Closings()

    @property
    def not_held(self) -> tuple[str, ...]:
        """What the kubelet does not hold as an engine on this machine does."""
        return (
            "Kubernetes: the number of files of a sandbox is not limited, and one that takes too"
            " much disk is evicted when its kubelet looks",
        )

    async def build(self, spec: BuildSpec) -> str:
        """Return the reference under which the cluster's registry has the image.

        Nothing is built: whoever has Docker builds and pushes it.

        Raises:
            InputError: A ready image is named without its digest, or no registry is set.
        """
        if spec.image:
            if not BY_DIGEST.fullmatch(spec.image):
                problem = f"{spec.image} may be another image on another node"
                raise InputError("docker_image", problem, "an image by digest: NAME@sha256:…")
            return spec.image
        dockerfile = str(spec.context_dir / "Dockerfile")
        if not self._settings.images:
            expected = f"{IMAGES}, a registry that has it built, or docker_image by digest"
            raise InputError(dockerfile, "no image is built in a cluster", expected)
        return image_reference(self._settings.images, spec)

    async def start(self, spec: StartSpec) -> Sandbox:
        """Start a pod, and hold it back until it was seen to be without a network.

        Raises:
            InputError: It asks for a network, or to be listened in.
        """
        _require_possible(spec)
        with cluster_errors(Cause.SANDBOX_START):
            cluster, lease = await self._prepared()
            pod = pod_manifest(
                spec,
                lease=lease.name,
                runner=self._runner,
                architecture=self._settings.architecture,
                runtime=self._runtime,
            )
            name: str = pod["metadata"]["name"]
            sandbox = KubernetesSandbox(cluster, name, spec.limits, self._open.discard)
            self._open.add(sandbox)
            try:
                await cluster.create_pod(pod)
                await wait_until_running(cluster, name, spec.image)
                await self._require_isolated(cluster, sandbox)
                await sandbox.begin()
            except BaseException:
                await asyncio.shield(sandbox.close())
                raise
        return sandbox

    async def _connected(self) -> Cluster:
        if self._cluster is None:
            self._cluster = await Cluster.open(self._settings.namespace)
        return self._cluster

    async def _prepared(self) -> tuple[Cluster, OwnerLease]:
        async with self._preparing:
            cluster = await self._connected()
            if self._lease is None:
                require_policy(await cluster.policies(), cluster.namespace)
                self._runner = await ensure_runner(cluster, self._settings.architecture)
                lease = OwnerLease(cluster)
                await lease.begin()
                self._lease = lease
            return cluster, self._lease

    async def _require_isolated(self, cluster: Cluster, sandbox: KubernetesSandbox) -> None:
        conf = await sandbox.read_file("/etc/resolv.conf")
        wanted = await asyncio.to_thread(
            targets, cluster.host, (conf or b"").decode(errors="replace"), self._settings.reach
        )
        loop = asyncio.get_running_loop()
        stop_at = loop.time() + ISOLATED_WITHIN_S
        while reached := await sandbox.reached(wanted, REACH_S):
            if loop.time() > stop_at:
                problem = (
                    f"pod {sandbox.pod} reaches {reached}: the network plugin of this cluster does"
                    " not enforce the NetworkPolicy that closes it"
                )
                raise InfrastructureError(Cause.SANDBOX_START, problem)
            await asyncio.sleep(1)

    def discard(self, sandbox: Sandbox) -> None:
        """Close a sandbox without waiting for it; `reap` and `close` wait."""
        self._closings.begin(sandbox)

    async def reap(self, *, labels: Mapping[str, str] | None = None) -> int:
        """Remove pods whose owner is dead, and those with `labels`."""
        await self._closings.wait()
        with cluster_errors(Cause.ENGINE_UNAVAILABLE):
            return await reap(await self._connected(), labels or {})

    async def close(self) -> None:
        """Close what is still open and release the connections."""
        for sandbox in list(self._open):
            self._closings.begin(sandbox)
        try:
            await self._closings.wait()
        finally:
            if self._cluster is not None:
                with cluster_errors(Cause.ENGINE_UNAVAILABLE):
                    if self._lease is not None:
                        await self._lease.end()
                    await self._cluster.close()


def image_reference(prefix: str, spec: BuildSpec) -> str:
    """Return where a registry has the image of a folder: its tag is the folder's digest."""
    slug = re.sub(r"[^a-z0-9]+", "-", spec.context_dir.resolve().parent.name.lower()).strip("-")
    return f"{prefix}/{slug or 'image'}:{spec.context_digest[:SHORT]}"


def _require_possible(spec: StartSpec) -> None:
    elsewhere = "or the sandbox docker or bubblewrap"
    if spec.network.mode != "none":
        problem = f"{spec.name}: a pod is given no network of mode {spec.network.mode!r}"
        raise InputError("allow_internet", problem, f"false, {elsewhere}")
    if spec.listens:
        problem = f"{spec.name}: a program of others cannot reach its model's proxy from a pod"
        raise InputError("profile", problem, f"an agent that runs outside its sandbox, {elsewhere}")
