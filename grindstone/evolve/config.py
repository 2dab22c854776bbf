"""How an engine evolves, as the documents spell it."""

from pathlib import Path

from pydantic import Field, JsonValue

from grindstone.evolve.session import SessionLimits
from grindstone.sandbox.registry import AUTO, Choice
from grindstone.settings import EvolveScope


class EvolveConfig(EvolveScope):
    """What may change (`EvolveScope`), and who changes it."""

    evolver_model: str = Field(
        "auto", description="Model id of the evolver; auto: the best with the credentials found."
    )
    extra: dict[str, JsonValue] = Field(
        {}, description="`region`: cloud region of Bedrock and Vertex models."
    )
    sandbox: Choice = Field(
        AUTO, description="Where the evolver works, unless the engine is given a provider."
    )
    quality_gate: bool = Field(
        True,
        description="Skills must say when they apply, be general, and hold verification steps.",
    )
    tasks_dir: Path | None = Field(
        None,
        description="Folder of the tasks' folders, for observations that do not say where their "
        "task lies: with it skills are kept from giving its answers away.",
    )
    limits: SessionLimits = Field(SessionLimits(), description="When its session ends.")

    @property
    def region(self) -> str | None:
        """The cloud region, where one is given."""
        region = self.extra.get("region")
        return str(region) if region else None

    @classmethod
    def of(cls, scope: EvolveScope, **more: object) -> "EvolveConfig":
        """Return a configuration with the permissions of a scope."""
        fields = {name: getattr(scope, name) for name in EvolveScope.model_fields}
        return cls.model_validate({**fields, **more})
