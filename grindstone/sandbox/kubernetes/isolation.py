"""Whether a pod has no network: what the cluster was told, and what a pod of it can reach.

A NetworkPolicy is a wish: the cluster's network plugin fulfils it or does not, and no API tells.
So the policy is read before the first pod, and each pod is asked, before the first command of its
user's, to connect to what every pod without a policy reaches.
"""

import ipaddress
import socket
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from grindstone.errors import InputError
from grindstone.sandbox.kubernetes.manifest import SANDBOX_LABEL
from grindstone.sandbox.kubernetes.settings import REACH

Target = tuple[str, int]

DNS_PORT = 53

EXPECTED = "deploy/kubernetes-sandboxes/sandboxes.yaml applied to it"

BOTH = {"Ingress", "Egress"}


def require_policy(policies: Iterable[Mapping[str, Any]], namespace: str) -> None:
    """Refuse a namespace whose policies let a sandbox connect, or be connected to.

    Raises:
        InputError: There is none that closes it, or one that opens it again.
    """
    closed = False
    for policy in policies:
        spec = policy["spec"]
        selector = spec.get("podSelector") or {}
        wanted = selector.get("matchLabels") or {}
        if any(key != SANDBOX_LABEL or value != "1" for key, value in wanted.items()):
            continue  # selects others; one with expressions is taken to select ours
        rules = [*(spec.get("ingress") or []), *(spec.get("egress") or [])]
        if rules:
            name = policy["metadata"]["name"]
            raise InputError(
                f"namespace {namespace}", f"its NetworkPolicy {name} opens sandboxes", EXPECTED
            )
        every = not selector.get("matchExpressions")
        closed = closed or (every and set(spec.get("policyTypes") or []) >= BOTH)
    if not closed:
        raise InputError(
            f"namespace {namespace}", "no NetworkPolicy in it closes sandboxes", EXPECTED
        )


def targets(host: str, resolv_conf: str, more: Iterable[Target]) -> list[Target]:
    """Return what a pod reaches unless it is isolated: the API, its name servers, and `more`.

    Args:
        host: The API's address as a URL.
        resolv_conf: The pod's own, which its kubelet wrote.
        more: What is set.

    Raises:
        InputError: There is nothing to try.
    """
    found = [*more]
    url = urlsplit(host)
    if url.hostname:
        found += _resolved(url.hostname, url.port or (80 if url.scheme == "http" else 443))
    for line in resolv_conf.splitlines():
        words = line.split()
        if words[:1] == ["nameserver"] and len(words) > 1:
            found.append((words[1], DNS_PORT))
    kept = [target for target in dict.fromkeys(found) if _elsewhere(target[0])]
    if not kept:
        problem = "a pod's isolation cannot be tried: the API and name servers are at its loopback"
        raise InputError(REACH, problem, "addresses with ports that pods reach: 192.0.2.1:443")
    return kept[:16]


def _resolved(name: str, port: int) -> list[Target]:
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [(str(entry[4][0]), port) for entry in found]


def _elsewhere(address: str) -> bool:
    try:
        return not ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
