"""How long to wait for a model, and how long between tries. Pure but for the settings."""

import hashlib
from collections.abc import Mapping
from typing import Self

from pydantic import ConfigDict, Field, NonNegativeFloat, PositiveFloat, ValidationError

from grindstone.base import Frozen
from grindstone.errors import InputError

PATIENCE = "GRINDSTONE_PATIENCE"
"""A JSON object of `Timeouts`'s fields; those it lacks keep their defaults."""


class Timeouts(Frozen):
    """Time limits and pauses around one model call, all in seconds."""

    model_config = ConfigDict(allow_inf_nan=False)

    connect_s: PositiveFloat = Field(10.0, description="To open a connection.")
    stall_s: PositiveFloat = Field(
        90.0, description="Longest silence on the wire; answers are streamed, so bytes keep coming."
    )
    answer_s: PositiveFloat = Field(1200.0, description="Longest time one try may take in all.")
    pause_s: NonNegativeFloat = Field(1.0, description="Before the second try; doubles each time.")
    pause_cap_s: NonNegativeFloat = Field(30.0, description="Longest pause of our own making.")
    retry_after_cap_s: NonNegativeFloat = Field(
        30.0, description="Longest pause a service's retry-after is granted."
    )

    @classmethod
    def of_environment(cls, environ: Mapping[str, str]) -> Self:
        """Return the defaults, changed as GRINDSTONE_PATIENCE says.

        Raises:
            InputError: It is no JSON object of these fields.
        """
        try:
            return cls.model_validate_json(environ.get(PATIENCE) or "{}")
        except ValidationError as error:
            expected = f"a JSON object of seconds, by {', '.join(cls.model_fields)}"
            first = error.errors()[0]
            where = ".".join([PATIENCE, *map(str, first["loc"])])
            raise InputError(where, str(first["msg"]).lower(), expected) from error


def pause_before_retry(
    patience: Timeouts, *, call_id: str, tries: int, retry_after_s: float | None
) -> float:
    """Return the seconds to wait after `tries` failed tries.

    The jitter comes from the call's identity, so that calls spread out and a run repeats
    exactly. Ours is drawn downwards (half to full pause), the service's upwards, for it
    named the earliest moment; neither passes its cap.
    """
    seed = hashlib.sha256(f"{call_id}/{tries}".encode()).digest()
    fraction = int.from_bytes(seed[:6], "big") / 2**48
    if retry_after_s is not None:
        return min(patience.retry_after_cap_s, retry_after_s * (1 + fraction / 10))
    doubled: float = patience.pause_s * 2.0 ** (tries - 1)
    return min(patience.pause_cap_s, doubled) * (0.5 + fraction / 2)
