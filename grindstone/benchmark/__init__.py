"""Benchmarks: task folders, which of them an agent is shown, and what its attempts are worth."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
