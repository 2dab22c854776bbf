"""The service for code that awaits nothing."""

import asyncio
from collections.abc import Callable
from typing import Any

from grindstone.sync import run_to_end


class SyncGraduationService:
    """`GraduationService` without await: each method runs its coroutine to the end."""

    def __init__(self, service: object) -> None:
        self._service = service

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Return the method of that name, made to wait."""
        method = getattr(self._service, name)
        if name.startswith("_") or not asyncio.iscoroutinefunction(method):
            raise AttributeError(f"{type(self._service).__name__} awaits no method {name!r}")

        def run(*args: Any, **kwargs: Any) -> Any:
            return run_to_end(method(*args, **kwargs))

        run.__doc__ = method.__doc__
        return run
