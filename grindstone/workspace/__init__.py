"""The agent on disk: manifest, prompts, skills, memory, and the git history of both."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
