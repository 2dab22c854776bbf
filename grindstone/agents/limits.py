"""What one attempt may still use: steps, seconds, tokens."""

import time

from grindstone.agents.protocol import Effort
from grindstone.records import StopReason, Usage

KEPT_BYTES = 262_144
"""Most bytes of one command's output that the trajectory keeps."""


class Meter:
    """Counts an attempt's use against its `Effort`; the clock starts when it is made.

    An answer that is on its way when the time ends is waited for, since it is paid for,
    but nothing it asks for is run any more.
    """

    def __init__(self, effort: Effort) -> None:
        self.effort = effort
        self.steps = 0
        self.usage = Usage()
        self._deadline = time.monotonic() + effort.time_limit_s

    @property
    def remaining_s(self) -> float:
        """Seconds until the attempt's deadline, never below zero."""
        return max(0.0, self._deadline - time.monotonic())

    def count(self, usage: Usage) -> None:
        """Add the tokens of one call, whatever role it had."""
        self.usage = self.usage + usage

    def spent(self) -> StopReason | None:
        """Return the limit that forbids another step, None while there is room."""
        if self.remaining_s <= 0:
            return StopReason.TIME_LIMIT
        if self.steps >= self.effort.max_steps:
            return StopReason.STEP_LIMIT
        limit = self.effort.max_tokens
        if limit is not None and self.usage.total_tokens >= limit:
            return StopReason.TOKEN_LIMIT
        return None

    def command_timeout_s(self, asked_s: float | None = None) -> float:
        """Return how long a command may run: what was asked, the cap, or what is left."""
        cap = self.effort.command_timeout_s
        return min(cap if asked_s is None else min(asked_s, cap), self.remaining_s)
