"""Releases of runs whose model calls pass a wiretap."""

from support.wiretap import tap

__all__ = ["tap"]
