"""The service for code without an event loop."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from grindstone.graduation.service import GraduationService

T = TypeVar("T")


class SyncGraduationService:
    """`GraduationService` without await: each method runs its coroutine to the end.

    Raises:
        RuntimeError: From within a running event loop, where the service itself is for.
    """

    def __init__(self, service: "GraduationService") -> None:
        self._service = service

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return the method of that name, made to wait."""
        method = getattr(self._service, name)
        if name.startswith("_") or not asyncio.iscoroutinefunction(method):
            raise AttributeError(f"{type(self._service).__name__} awaits no method {name!r}")

        def run(*args: Any, **kwargs: Any) -> Any:
            return _run(method(*args, **kwargs))

        run.__doc__ = method.__doc__
        return run


def _run(coroutine: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(coroutine)
