"""Orders to a run that goes on: pause it, call it off, give it more or less to work with.

An order is a file of the run's folder, claimed under the next number and never changed, so any
process that sees the folder may give one and all processes of the run read the same. What holds
is the fold over them: the later word stands, also when the run is resumed, but for what an order
asks once (calling off, trying again what errored), which concerns who runs when it is given.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Annotated, Self

from pydantic import (
    AwareDatetime,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_serializer,
    model_validator,
)

from grindstone.base import Frozen
from grindstone.files import read_record
from grindstone.home import RunFolder
from grindstone.records import utc_now
from grindstone.remote.home_files import files_of

NO_CEILING = {"max_cost_usd": math.inf, "max_tokens_total": 0}
"""What an order takes a ceiling away by: None would let it stay."""


class RunLimits(Frozen):
    """The settings of a run that an order may change; the others are part of what it tries."""

    max_workers: Annotated[int, Field(ge=1, le=64)] | None = None
    max_cost_usd: PositiveFloat | None = Field(None, description="inf: no ceiling.")
    max_tokens_total: NonNegativeInt | None = Field(None, description="0: no ceiling.")
    slice_size: PositiveInt | None = None
    max_slices: PositiveInt | None = None

    @field_serializer("max_cost_usd", when_used="json")
    def _as_json(self, ceiling: float | None) -> float | str | None:
        return "inf" if ceiling == math.inf else ceiling  # JSON has no infinity


LIMITS = tuple(RunLimits.model_fields)


class Order(RunLimits):
    """What is asked of a run; what is None stays as it is."""

    paused: bool | None = Field(
        None, description="True: begin no attempt and no learning step until False."
    )
    cancel: bool = Field(False, description="End the run; its key resumes it.")
    retry_errors: bool = Field(False, description="Try again the attempts that have no score.")

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if not self.words:
            raise ValueError(f"asks nothing; expected one of {', '.join(Order.model_fields)}")
        if self.cancel and self.words != ["call off"]:
            raise ValueError("cancel ends the run; expected nothing else with it")
        return self

    @property
    def words(self) -> list[str]:
        """What it asks, a phrase each."""
        told = []
        if self.paused is not None:
            told.append("pause" if self.paused else "go on")
        if self.cancel:
            told.append("call off")
        if self.retry_errors:
            told.append("try again what has no score")
        for name in LIMITS:
            if (value := getattr(self, name)) is not None:
                told.append(f"{name} {'none' if value == NO_CEILING.get(name) else f'{value:,}'}")
        return told


class GivenOrder(Order):
    """An order as the run's folder keeps it."""

    number: PositiveInt
    at: AwareDatetime
    by: str = Field(description="Who gave it: user@host, or the login of the viewer.")
    via: str = Field(description="cli, viewer, or resume: settings of a resumed run.")

    @property
    def sentence(self) -> str:
        """What a log says of it."""
        return f"Order {self.number} by {self.by} ({self.via}): {', '.join(self.words)}"


class Steer(RunLimits):
    """How a run is steered: the orders so far, folded; None: as its settings say."""

    last: NonNegativeInt = 0
    paused: bool = False
    cancelled: NonNegativeInt = Field(0, description="Number of the last order to end it.")
    retried: NonNegativeInt = Field(0, description="Number of the last order to try errors again.")

    def after(self, orders: Iterable[GivenOrder]) -> "Steer":
        """Return how it is steered after more orders."""
        now = self.model_dump()
        for order in orders:
            now |= {"last": order.number}
            now |= {"cancelled": order.number} if order.cancel else {}
            now |= {"retried": order.number} if order.retry_errors else {}
            now |= order.model_dump(include={"paused", *LIMITS}, exclude_none=True)
        return Steer.model_validate(now)


def orders_of(folder: RunFolder, *, after: int = 0) -> Sequence[GivenOrder]:
    """Return the orders a run was given, the first one first.

    Args:
        folder: The run's.
        after: Only those with a higher number.

    Raises:
        InputError: A file among them is no order.
        InfrastructureError: They are in storage elsewhere, and it does not answer.
    """
    files, number = files_of(folder.orders), after + 1
    while files.fetch(folder.order(number)):
        number += 1
    found = sorted(path for path in folder.orders.glob("*.json") if path.stem.isdecimal())
    new = (path for path in found if int(path.stem) > after)
    return [read_record(path, GivenOrder, "order to a run") for path in new]


def steer_of(folder: RunFolder) -> Steer:
    """Return how a run is steered at present.

    Raises:
        InputError: A file among its orders is none.
    """
    return Steer().after(orders_of(folder))


def give_order(folder: RunFolder, order: Order, *, by: str, via: str) -> GivenOrder:
    """Keep an order under the next number; the run reads it between attempts and before calls."""
    files = files_of(folder.orders)
    while True:
        last = steer_of(folder).last
        given = GivenOrder(**order.model_dump(), number=last + 1, at=utc_now(), by=by, via=via)
        content = given.model_dump_json(indent=2, exclude_none=True)
        if files.claim(folder.order(given.number), content):
            return given
