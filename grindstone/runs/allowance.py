"""What a run's attempts may use, wherever they are made."""

from grindstone.base import Frozen
from grindstone.llm.budget import Spending
from grindstone.llm.pace import Rates


class Allowance(Frozen):
    """What the attempts of a run may use; it travels with those that are sent elsewhere."""

    max_workers: int = 1
    """How many attempts may run at once."""
    model_block: str | None = None
    """A saved block with credentials; None for the environment's."""
    spending: Spending = Spending()
    """The run's ceilings, and how its rehearsals are priced."""
    rates: Rates = Rates()
    """How often each model may be asked, by all who use the Prefect server."""
