"""Steps of flows: retries, caching, artifacts. Thin; what they do is in the engine."""
