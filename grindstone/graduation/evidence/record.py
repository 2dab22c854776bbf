"""What an agent's episodes add up to, before it is weighed."""

from pydantic import Field, NonNegativeInt

from grindstone.base import Frozen

CRITICAL_SCORE = 0.0
"""The constitutional score of an episode with a critical breach, and of no other."""


class Recent(Frozen):
    """The latest episodes, as the hard criteria see them."""

    episodes: NonNegativeInt = 0
    intervened: NonNegativeInt = Field(0, description="Episodes with at least one intervention.")
    interventions: NonNegativeInt = Field(0, description="All interventions.")
    checked: NonNegativeInt = Field(0, description="Episodes with a constitutional score.")
    constitutional_score: float | None = Field(None, description="Mean over the checked ones.")
    critical: NonNegativeInt = Field(0, description="Episodes with a critical breach.")
    succeeded: NonNegativeInt = 0

    @property
    def success_rate(self) -> float:
        """Share of episodes that succeeded; 0 without episodes."""
        return self.succeeded / self.episodes if self.episodes else 0.0

    @property
    def intervention_rate(self) -> float:
        """Share of episodes with an intervention; 0 without episodes."""
        return self.intervened / self.episodes if self.episodes else 0.0


class Record(Frozen):
    """What an agent's episodes in scope add up to."""

    agent_id: str = ""
    episodes: NonNegativeInt = 0
    zero_interventions: NonNegativeInt = Field(0, description="Episodes nobody corrected.")
    interventions: NonNegativeInt = 0
    checked: NonNegativeInt = 0
    constitutional_score: float | None = None
    critical: NonNegativeInt = 0
    confident: NonNegativeInt = Field(0, description="Episodes with a stated confidence.")
    confidence: float | None = None
    succeeded: NonNegativeInt = 0
    rated: NonNegativeInt = Field(0, description="Episodes a person rated.")
    rated_well: NonNegativeInt = 0
    skills: NonNegativeInt = Field(0, description="Distinct skills used.")
    rehearsals: NonNegativeInt = Field(
        0, description="Rehearsals in scope; among the episodes only where the policy counts them."
    )
    recent: Recent = Recent()
