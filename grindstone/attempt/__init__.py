"""The atom: one agent tries one task once, in a fresh sandbox."""

from grindstone.attempt.spec import AttemptSpec, SolverSettings

__all__ = ["AttemptSpec", "SolverSettings"]
