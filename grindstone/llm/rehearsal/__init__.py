"""A local stand-in for a model's service: speaks the Messages API, plays a simple agent.

Everything it answers is computed from the request alone, so retries, replays and
restarts agree. Nothing about any task's result is written down in it: as a solver it
follows the skills it is offered, as an evolver it turns general know-how into skills.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from grindstone.llm.rehearsal.server import app as app
    from grindstone.llm.rehearsal.server import run as run
    from grindstone.llm.rehearsal.server import serve as serve

__all__ = ["app", "run", "serve"]


def __getattr__(name: str) -> Any:
    """Load the server (starlette, uvicorn) when it is first asked for."""
    if name in __all__:
        from grindstone.llm.rehearsal import server  # noqa: PLC0415

        return getattr(server, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
