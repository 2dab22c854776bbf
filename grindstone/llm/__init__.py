"""Models behind one SDK: providers, journal, prices, budget.

Importing this imports no SDK; that happens at a model's first live call.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
