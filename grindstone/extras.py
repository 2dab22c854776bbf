"""Packages that a part of Grindstone needs and the rest does not; pyproject.toml has the same."""

import contextlib
import importlib.util
from collections.abc import Iterator
from types import MappingProxyType

from grindstone.errors import InputError

EXTRAS: MappingProxyType[str, tuple[str, ...]] = MappingProxyType(
    {
        "inspect": ("inspect_ai",),
        "kubernetes": ("aiohttp", "kubernetes_asyncio"),
        "otel": ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"),
        "plots": ("altair", "vl_convert"),
        "postgres": ("asyncpg",),
        "remote": ("obstore",),
        "signing": ("cryptography", "securesystemslib"),
    }
)
"""What each extra brings, by the names it is imported by."""


def has_extra(name: str) -> bool:
    """Return whether all that an extra brings is installed."""
    try:
        return all(importlib.util.find_spec(module) is not None for module in EXTRAS[name])
    except ModuleNotFoundError:  # not even the package that the module is in
        return False


def remedy(name: str) -> str:
    """Return the command that installs an extra."""
    return f"pip install 'grindstone[{name}]'"


@contextlib.contextmanager
def from_extra(name: str, part: str) -> Iterator[None]:
    """Do what an extra is needed for; also a decorator.

    Args:
        name: The extra.
        part: What needs it, for the error.

    Raises:
        InputError: It is not installed; says how it is.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in EXTRAS[name]:
            raise
        raise InputError(part, f"{error.name} is not installed", remedy(name)) from error
