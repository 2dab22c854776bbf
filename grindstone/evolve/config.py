"""How an engine evolves, as the documents spell it."""

from pathlib import Path
from typing import Any, Self

from pydantic import Field, JsonValue, ValidationError

from grindstone.errors import InputError
from grindstone.evolve.session import SessionLimits
from grindstone.sandbox.registry import AUTO, Choice
from grindstone.settings import AdaptiveSettings, EvolveScope, FeedbackLevel

_RENAMED = {"evolver_model": "evolver_model_id"}
_OF_THE_ENGINE = ("quality_gate", "limits", "evolve_tools")


class EvolveConfig(EvolveScope):
    """What may change (`EvolveScope`), who changes it, and how a loop around it goes on.

    One evolution needs no batch, holdout or convergence: those fields are for `adaptive`,
    which makes a run's settings of all that is given.
    """

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
    trajectory_only: bool = Field(
        False, description="The evolver sees behaviour alone, no reward, test or pass."
    )
    feedback_level: FeedbackLevel = Field(
        FeedbackLevel.TESTS, description="What it sees of the verdicts of attempts given whole."
    )
    solver_proposed: bool = Field(
        False, description="Of a loop: the solver drafts skills for the evolver to generalise."
    )
    batch_size: int = Field(10, ge=1, description="Of a loop: tasks per evolution.")
    holdout_ratio: float = Field(
        0.2, ge=0, lt=1, description="Of a loop: share of the tasks reserved for the gate."
    )
    egl_threshold: float = Field(0.05, ge=0, description="Of a loop: EGL below it is stable.")
    egl_window: int = Field(3, ge=1, description="Of a loop: cycles in a row that are stable.")

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

    @classmethod
    def from_yaml(cls, path: Path | str) -> Self:
        """Read a YAML file of `field: value` lines.

        Raises:
            InputError: It cannot be read, or a field is unknown or wrong; all are told.
        """
        fields = _read_yaml(Path(path))
        try:
            return cls.model_validate(fields)
        except ValidationError as error:
            raise InputError.together(
                [
                    InputError(
                        f"{path}: {'.'.join(str(part) for part in fault['loc'])}",
                        fault["msg"].lower(),
                        "a field of EvolveConfig, with a value it takes",
                    )
                    for fault in error.errors()
                ]
            ) from error

    def adaptive(self, **run: Any) -> AdaptiveSettings:
        """Return settings of an adaptive run that evolves as this says.

        What was not given stays as `AdaptiveSettings` has it.

        Args:
            run: The run's other settings, such as `work_dir`, `tasks_dir` and `model_id`.

        Raises:
            InputError: Something was given that such a run does not know.
        """
        given = {name: getattr(self, name) for name in self.model_fields_set}
        if extra := given.pop("extra", {}):
            given["region"] = self.region
        refused = [name for name in _OF_THE_ENGINE if name in given]
        refused += [f"extra.{name}" for name in extra if name != "region"]
        if refused:
            raise InputError(
                ", ".join(refused), "is no setting of an adaptive run", "it to be left out"
            )
        renamed = {_RENAMED.get(name, name): value for name, value in given.items()}
        return AdaptiveSettings.model_validate({**renamed, **run})


def _read_yaml(path: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        found = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(str(path), "cannot be read", "a YAML file") from error
    except (YAMLError, RecursionError) as error:
        seen = " ".join(str(error).split())[:200]
        raise InputError(str(path), f"is not YAML ({seen})", "YAML") from error
    if not isinstance(found, dict):
        raise InputError(str(path), "is not a mapping", "`field: value` lines")
    return {str(key): value for key, value in found.items()}
