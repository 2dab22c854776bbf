from support.model_proxy import enter, journal, service
from support.sandboxes import cache, provider, start

__all__ = ["cache", "enter", "journal", "provider", "service", "start"]
