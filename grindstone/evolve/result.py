"""What one evolution, or a writer outside of one, did to a workspace."""

from pydantic import Field, JsonValue, NonNegativeInt

from grindstone.base import Frozen
from grindstone.evolve.permissions import RefusedChange
from grindstone.records import Trajectory, Usage


class EvolutionResult(Frozen):
    """Read as attributes or, as the documents do, by key: `result["skills_added"]`."""

    evo_number: NonNegativeInt
    step: str = Field("", description="The run's step that made it.")
    skills_before: NonNegativeInt = Field(description="General skills before.")
    skills_after: NonNegativeInt = Field(description="General skills after.")
    skills_added: tuple[str, ...] = ()
    skills_changed: tuple[str, ...] = Field((), description="By content, not by name alone.")
    skills_removed: tuple[str, ...] = ()
    others_changed: tuple[str, ...] = Field((), description="Files of prompts, memory, tools.")
    refusals: tuple[RefusedChange, ...] = Field((), description="Mended ones included.")
    told: str = Field("full", description="The most it was told: unlabelled, or a feedback level.")
    usage: Usage = Usage()
    model: str = ""
    rehearsal: bool = False
    stop_reason: str = ""
    commit: str = ""
    tag: str = ""
    done_before: bool = Field(False, description="Found in the history; nothing was done again.")
    trajectory: Trajectory | None = Field(None, repr=False)

    @property
    def changed(self) -> bool:
        """Whether anything in the workspace differs."""
        return bool(self.n_mutations)

    @property
    def n_mutations(self) -> int:
        """Skills added, changed or removed, and other files changed."""
        return sum(map(len, self._mutations))

    @property
    def _mutations(self) -> tuple[tuple[str, ...], ...]:
        return (self.skills_added, self.skills_changed, self.skills_removed, self.others_changed)

    def in_words(self, *verbs: str) -> str:
        """Return what changed; the verbs are for adding, changing, removing and editing."""
        pairs = zip(verbs, self._mutations, strict=True)
        return "; ".join(f"{verb} {', '.join(names)}" for verb, names in pairs if names)

    def __getitem__(self, key: str) -> JsonValue:
        """Return a field as plain JSON; KeyError where there is none."""
        if key not in type(self).model_fields:
            raise KeyError(key)
        value: JsonValue = self.model_dump(mode="json", include={key})[key]
        return value


class WriterResult(Frozen):
    """What one of the writers did."""

    step: str = ""
    written: tuple[str, ...] = Field((), description="Skills, drafts or tasks whose text changed.")
    promoted: tuple[str, ...] = Field((), description="Drafts that became general skills.")
    supporters: dict[str, tuple[str, ...]] = Field(
        {}, description="Of each promoted draft: the tasks that taught it."
    )
    refusals: tuple[RefusedChange, ...] = Field((), description="What was not used, and why.")
    evo_number: int = Field(0, description="Of an evolution; 0: the general library is as it was.")
    usage: Usage = Usage()
    commit: str = ""
    done_before: bool = False
