"""Which cluster sandboxes are made in, and where its nodes find their images."""

import os
import platform
from collections.abc import Mapping
from typing import NamedTuple, Self

from grindstone.errors import InputError

NAMESPACE = "GRINDSTONE_KUBERNETES_NAMESPACE"
IMAGES = "GRINDSTONE_KUBERNETES_IMAGES"
ARCHITECTURE = "GRINDSTONE_KUBERNETES_ARCH"
REACH = "GRINDSTONE_KUBERNETES_REACH"

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "amd64": "amd64", "arm64": "arm64"}


class KubernetesSettings(NamedTuple):
    """Read from the environment; the cluster itself is found as kubectl finds it."""

    namespace: str
    images: str  # prefix of references to built images; empty: none are there
    architecture: str  # of the nodes, in Kubernetes' word: amd64 or arm64
    reach: tuple[tuple[str, int], ...]  # more that a pod must not reach: address, port

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Return what is set.

        Raises:
            InputError: No namespace is named, or a value cannot be used.
        """
        namespace = environment.get(NAMESPACE, "")
        if not namespace:
            raise InputError(
                NAMESPACE, "it is not set", "a namespace for sandboxes and nothing else"
            )
        wanted = environment.get(ARCHITECTURE) or platform.machine().lower()
        if wanted not in _ARCHITECTURES:
            raise InputError(ARCHITECTURE, f"no runner for {wanted!r}", "amd64 or arm64")
        return cls(
            namespace=namespace,
            images=environment.get(IMAGES, "").rstrip("/"),
            architecture=_ARCHITECTURES[wanted],
            reach=tuple(map(_pair, environment.get(REACH, "").split())),
        )


def _pair(text: str) -> tuple[str, int]:
    address, _, port = text.rpartition(":")
    if not address or not port.isdigit():
        raise InputError(REACH, f"{text!r} is no address with a port", "192.0.2.1:443 192.0.2.2:53")
    return address.strip("[]"), int(port)
