"""The one program that is brought into every sandbox, prebuilt for each processor."""

from pathlib import Path

from grindstone.errors import Cause, InfrastructureError

_NAMES = {"amd64": "x86_64", "arm64": "aarch64", "x86_64": "x86_64", "aarch64": "aarch64"}


def runner_binary(architecture: str) -> Path:
    """Return the runner for a processor.

    Raises:
        InfrastructureError: There is none for it.
    """
    name = _NAMES.get(architecture)
    if name is None:
        known = "x86_64 and aarch64"
        problem = f"no runner for {architecture} processors, only for {known}"
        raise InfrastructureError(Cause.SANDBOX_START, problem)
    return Path(__file__).parent / f"runner-{name}"
