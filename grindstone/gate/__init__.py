"""Decisions about a change: statistics without input or output."""

from grindstone.gate.egl import compute_egl, is_converged

__all__ = ["compute_egl", "is_converged"]
