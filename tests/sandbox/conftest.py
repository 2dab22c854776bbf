from support.sandboxes import IMAGES, Start, cache, provider, sandbox, start

__all__ = ["IMAGES", "Start", "cache", "provider", "sandbox", "start"]
