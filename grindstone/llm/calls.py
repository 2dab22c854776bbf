"""One model call as the journal, the meter and the ledger know it."""

from pydantic import AwareDatetime, Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from grindstone.base import Frozen
from grindstone.digest import digest
from grindstone.llm.messages import CallSite, Request
from grindstone.llm.volatile import settled
from grindstone.records import Role, Usage

GIVEN_UP = "given_up"
"""The stop reason of a call that was given up or cancelled: it has tokens, but no answer."""


class CallRecord(Frozen):
    """One paid model call: who asked, what it used and what it cost.

    A call that is replayed from the journal has the record of the paid one, but for
    `replayed`; so rows keyed by `call_id` count each payment once.
    """

    call_id: str = Field(description="Digest of run, site, request and model; see `volatile`.")
    run_key: str
    role: Role
    scope: str
    turn: NonNegativeInt
    task_id: str = ""
    model: str
    provider: str
    usage: Usage
    lost: Usage = Field(
        Usage(), description="Told by tries that broke off: billed, but part of no answer."
    )
    tries: PositiveInt = 1
    stop_reason: str = ""
    cost_usd: float | None = Field(
        None, ge=0.0, description="Of usage and lost together. None: price unknown."
    )
    price_source: str = Field("", description="Such as 'genai-prices 0.2.3'.")
    rehearsal: bool = False
    replayed: bool = False
    started_at: AwareDatetime
    duration_s: NonNegativeFloat

    @property
    def answered(self) -> bool:
        """Whether an answer came of it; if not, all it used is `lost`."""
        return self.stop_reason != GIVEN_UP


def call_key(run_key: str, site: CallSite, request: Request, model_id: str) -> str:
    """Return a call's identity: the same call of a run has it again after a restart."""
    return digest(
        {
            "run": run_key,
            "role": site.role.value,
            "scope": site.scope,
            "turn": site.turn,
            "request": digest(settled(request)),
            "model": model_id,
        }
    )
