"""A local stand-in for a model's service: speaks the Messages API, plays a simple agent.

Everything it answers is computed from the request alone, so retries, replays and
restarts agree. Nothing about any task's result is written down in it: as a solver it
follows the skills it is offered, as an evolver it turns general know-how into skills.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
