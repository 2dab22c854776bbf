"""Where a sandbox may connect to: names that are allowed, at addresses that are public."""

import asyncio
import errno
import functools
import ipaddress
import re
import socket
from concurrent.futures import Executor
from typing import Literal, NamedTuple

from pydantic import Field, PositiveInt

from grindstone.base import Frozen

NetworkMode = Literal["none", "allowlist", "public"]

USUAL_PORTS = frozenset({80, 443})
"""What an allowed host without a port means."""

RESOLVE_S = 15.0

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")
_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
"""A last label that makes C's and browsers' parsers read an IPv4 address."""

_ALLOWED = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*(:[0-9]{{1,5}})?")

_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""IPv6 addresses that stand for IPv4 ones (RFC 6052)."""

_HANDED_ROUND = tuple(
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # Azure's host agent, at a public address from inside its machines
        "192.0.0.0/24",  # IETF assignments (RFC 6890), a metadata service of Oracle's among them
        "192.88.99.0/24",  # relays of 6to4 (RFC 7526)
        "fec0::/10",  # site-local, deprecated (RFC 3879)
        "64:ff9b:1::/48",  # translated within a site (RFC 8215)
    )
)
"""Not public, though Python's `is_global`, in some of its versions, says so."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class RefusedDestination(Exception):  # noqa: N818 - an answer to the sandbox, not an error of ours
    """Why a destination is not connected to."""


class Pinned(NamedTuple):
    """A destination whose name was resolved, once."""

    host: str
    port: int
    addresses: tuple[str, ...]


class NetworkRules(Frozen):
    """What one sandbox may reach."""

    mode: NetworkMode = "none"
    hosts: tuple[str, ...] = Field(
        (), description="For allowlist: example.org, *.example.org or example.org:8080."
    )
    private: bool = Field(False, description="Private addresses too, but never this machine's.")
    max_bytes: PositiveInt = Field(8_000_000_000, description="Sent and received, in all.")

    @classmethod
    def check_host(cls, text: str) -> str:
        """Return an entry of an allow list in lower case.

        Raises:
            ValueError: It is no host name (an address, a URL), told with what is expected.
        """
        entry = text.strip().lower()
        name, _, port = entry.partition(":")
        numeric = _NUMERIC.fullmatch(name.rpartition(".")[2])
        if not _ALLOWED.fullmatch(entry) or numeric or (port and not 0 < int(port) < 65536):
            raise ValueError(
                f"{text!r} is no host; expected a name such as example.org, *.example.org or"
                " example.org:8080"
            )
        return entry

    async def pin(self, host: str, port: int, resolving: Executor | None = None) -> Pinned:
        """Decide on a destination, and resolve it.

        Args:
            host: As it was asked for.
            port: Likewise.
            resolving: Where names are looked up; None: the event loop's own threads.

        Raises:
            RefusedDestination: It is not allowed.
        """
        name = host.lower().removesuffix(".")
        if not _NAME.fullmatch(name) or _NUMERIC.fullmatch(name.rpartition(".")[2]):
            raise RefusedDestination("hosts are given by name, not by address")
        if not 0 < port < 65536:
            raise RefusedDestination(f"there is no port {port}")
        if self.mode != "public" and not self._allows(name, port):
            raise RefusedDestination(f"{name}:{port} is not on the task's list of allowed hosts")
        addresses = await _resolve(name, port, resolving)
        for address in addresses:  # one bad address spoils the name: the next answer may be it
            if problem := why_not_public(address, private=self.private):
                raise RefusedDestination(f"{name} is at an address that is {problem}")
        return Pinned(name, port, addresses)

    def _allows(self, name: str, port: int) -> bool:
        for entry in self.hosts:
            allowed, _, only = entry.partition(":")
            if port not in ({int(only)} if only else USUAL_PORTS):
                continue
            if allowed.startswith("*."):
                if name.endswith(allowed[1:]):
                    return True
            elif name == allowed:
                return True
        return False


def why_not_public(text: str, *, private: bool = False) -> str:
    """Return what keeps an address from being public; empty where nothing does.

    Args:
        text: An address.
        private: Let private ones pass.
    """
    address = _meant(ipaddress.ip_address(text.partition("%")[0]))
    if address.is_loopback or address.is_link_local or address.is_unspecified:
        return "this machine's or its neighbours'"
    if address.is_multicast:
        return "many machines'"
    if _is_ours(address):
        return "this machine's"
    if not _is_public(address) and not (private and address.is_private):
        return "not public"
    return ""


def _is_public(address: Address) -> bool:
    return (
        address.is_global
        and not address.is_reserved
        and not any(address in network for network in _HANDED_ROUND)
    )


def _meant(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one carries, where it does."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour or address
    if address.teredo:
        return address.teredo[1]
    if address in _TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_ours(address: Address) -> bool:
    """Whether an address is this machine's: only its own can be bound."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as trial:
        try:
            trial.bind((str(address), 0))
        except OSError as error:
            return error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
    return True


async def _resolve(name: str, port: int, resolving: Executor | None) -> tuple[str, ...]:
    look_up = functools.partial(socket.getaddrinfo, name, port, type=socket.SOCK_STREAM)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(RESOLVE_S):
            found = await loop.run_in_executor(resolving, look_up)
    except (OSError, TimeoutError, UnicodeError) as error:
        raise RefusedDestination(f"{name} cannot be resolved") from error
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
