"""The Competency Engine: how good an agent is per domain, what to train, whom to ask."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
