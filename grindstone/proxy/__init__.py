"""The recording model proxy: the one way from a sandbox to a model, for programs of others.

An agent's own program speaks its API to a loopback address inside its sandbox. What it asks is
answered out of the run's journal where it was paid before, else under the run's ceilings by the
model's service; the answer is in the journal before its first byte goes in. The keys stay here.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
