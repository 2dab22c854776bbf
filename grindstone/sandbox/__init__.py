"""Sandboxes: one small protocol, provided by Docker or by bubblewrap."""

from typing import TYPE_CHECKING, Any

from grindstone.sandbox.protocol import (
    BuildSpec,
    ExecResult,
    Limits,
    Provider,
    Sandbox,
    SealedResult,
    StartSpec,
)

if TYPE_CHECKING:
    from grindstone.sandbox.capabilities import Capabilities, Tool, probe
    from grindstone.sandbox.provider import open_provider

__all__ = [
    "BuildSpec",
    "Capabilities",
    "ExecResult",
    "Limits",
    "Provider",
    "Sandbox",
    "SealedResult",
    "StartSpec",
    "Tool",
    "open_provider",
    "probe",
]

_LAZY = {
    "Capabilities": "grindstone.sandbox.capabilities",
    "Tool": "grindstone.sandbox.capabilities",
    "open_provider": "grindstone.sandbox.provider",
    "probe": "grindstone.sandbox.capabilities",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module  # noqa: PLC0415

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
