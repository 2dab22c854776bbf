"""A run: what it set out to do, how far it has come, what it says meanwhile."""
