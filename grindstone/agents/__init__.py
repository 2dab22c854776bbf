"""Solver profiles: how an agent talks to its sandbox, and the conversation it keeps."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
