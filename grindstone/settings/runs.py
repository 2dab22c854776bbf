"""What every run that attempts tasks takes."""

import math
import os
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_serializer,
    field_validator,
    model_validator,
)

from grindstone.agents.profiles import Profile
from grindstone.errors import InputError
from grindstone.files import from_home
from grindstone.home import Home
from grindstone.llm.budget import Spending
from grindstone.llm.pace import Rates
from grindstone.llm.providers import ModelId
from grindstone.remote.place import folder_of
from grindstone.sandbox.protocol import DEFAULT_HEADROOM
from grindstone.sandbox.registry import AUTO, AUTO_HELP, Choice
from grindstone.settings.form import flat
from grindstone.settings.words import ScoreMode, Selection

_PROFILE_OF = {
    "agent": Profile.COMMAND,
    "agent_command": Profile.COMMAND,
    "solver": Profile.CODE,
}
"""What a setting that names an agent makes of the profile."""

PROFILE_HELP = (
    "How the agent works: terminus2 types into a terminal; strands calls tools and reads skills on "
    "demand; oracle plays the task's own solution; nop does nothing; cheater tries known ways to a "
    "reward. A program or a solver of your own takes command or code by itself."
)
Ratio = Annotated[float, Field(ge=0.0, le=1.0)]


_SPELT = {
    **{"usd": "(USD)", "days": "(days)", "s": "(seconds)"},
    **{"egl": "EGL", "api": "API", "url": "URL", "openai": "OpenAI", "aws": "AWS"},
}


def title(name: str, _: object = None) -> str:
    """Return a field's name as a form shows it."""
    words = " ".join(_SPELT.get(word, word) for word in name.split("_"))
    return words[0].upper() + words[1:]


def default_home() -> Path:
    """Return the home in GRINDSTONE_WORK_DIR, which workers are given, or the usual one."""
    return folder_of(os.environ.get("GRINDSTONE_WORK_DIR") or "evolution_workdir")


def _place(given: Any) -> Any:
    if not isinstance(given, str | Path):
        return given
    try:
        return folder_of(given)
    except InputError as error:
        raise ValueError(f"{error.problem}; expected {error.expected}") from error


WorkFolder = Annotated[Path, BeforeValidator(_place)]
"""A home's folder; where an address is given, the one that shows the home there."""


def factory_place(factory: Callable[..., Any]) -> str:
    """Return where a solver's factory is, as `module:name`.

    Raises:
        ValueError: It is found at no such place.
    """
    place = f"{getattr(factory, '__module__', '')}:{getattr(factory, '__qualname__', '')}"
    try:
        found = resolve_name(place) is factory
    except (ImportError, AttributeError, ValueError):
        found = False
    if not found:
        raise ValueError(f"is at {place}; expected a function or class of a module, by its name")
    return place


class Settings(BaseModel):
    """Base of all settings: unknown fields are refused, values never change."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", field_title_generator=title, allow_inf_nan=False
    )

    @model_validator(mode="before")
    @classmethod
    def _without_groups(cls, given: Any) -> Any:
        """Take what a form has in groups as if it were given flat."""
        return flat(cls, given)

    @field_validator("*")
    @classmethod
    def _with_the_users_folder(cls, given: Any) -> Any:
        """Take `~` for the user's folder: no shell has, in a form, a variable or `--flag=~/…`."""
        return from_home(given) if isinstance(given, Path) else given


class RunSettings(Settings):
    """What every run that attempts tasks needs."""

    @property
    def home(self) -> Home:
        """Where everything is kept."""
        return Home.at(self.work_dir)

    @property
    def spending(self) -> Spending:
        """The ceilings; infinity, which somebody gave so that there be none, is none."""
        return Spending(
            max_cost_usd=None if self.max_cost_usd == math.inf else self.max_cost_usd,
            max_tokens_total=self.max_tokens_total,
            rehearsal_price_as=self.rehearsal_price_as,
        )

    @property
    def rates(self) -> Rates:
        """How often each model may be asked."""
        return Rates(
            requests_per_minute=self.requests_per_minute, tokens_per_minute=self.tokens_per_minute
        )

    @property
    def changes_agent(self) -> bool:
        """Whether a run with them may change its agent's workspace."""
        return False

    tasks_dir: Path | None = Field(
        None, description="Folder of task folders. Empty: the bundled example tasks."
    )
    category: list[str] = Field([], description="Only tasks of these categories.")
    difficulty: list[str] = Field([], description="Only tasks of these difficulties.")
    task_ids: list[str] = Field([], description="Only these tasks.")
    limit: int | None = Field(None, ge=0, description="At most this many tasks. 0: all.")
    allow_broken: bool = Field(
        False, description="Accept that broken tasks are left out: the exit code is not 1 for it."
    )
    use_skills: bool = Field(
        False, description="Use the task variants that ship skills of their own."
    )
    tasks_with_skills_dir: Path | None = Field(
        None, description="Tasks that ship skills. Empty: tasks_dir, with whatever skills it has."
    )
    tasks_without_skills_dir: Path | None = Field(
        None, description="The same tasks without. Empty: made by leaving the skills out."
    )
    work_dir: WorkFolder = Field(
        default_factory=default_home,
        description="Home of everything kept: a folder, or s3://…, gs://…, az://….",
    )
    agent_id: str = Field(
        "skillbench",
        pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$",
        description="The agent, by its id (a-z, 0-9, - and _); its workspace is in the home, and "
        "evolves.",
    )
    seed_workspace: Path | None = Field(
        None, description="Starting workspace for a new agent. Empty: the bundled one."
    )
    run_key: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$",
        description="The same key again resumes that run. Empty: a new key is made.",
    )
    model_id: ModelId = Field(
        "auto",
        description="Solver model: claude-… (Anthropic), us.anthropic.… (Bedrock), claude-…@… "
        "(Vertex), openai:NAME or messages:NAME, with @URL for another address, rehearsal "
        "(offline). auto: the best with the credentials found.",
    )
    region: str | None = Field(None, description="Cloud region for Bedrock and Vertex.")
    max_tokens: int = Field(16384, ge=1, description="Output tokens of one model answer.")
    native_profile: Profile = Field(Profile.TERMINUS2, description=PROFILE_HELP)
    agent: str | None = Field(
        None,
        description="An agent's own program instead, as a file says or by a bundled one's name: "
        "claude-code, codex, opencode, mini-swe-agent, aider.",
    )
    agent_command: str | None = Field(
        None,
        min_length=1,
        description='The same as one shell line: claude -p "$(cat $PROMPT_FILE)". The model is '
        "named in ANTHROPIC_BASE_URL, OPENAI_BASE_URL and their like.",
    )
    solver: str | None = Field(
        None,
        description="A solver of your own code: module:factory, or a name that a package gives "
        "it in the entry points grindstone.solvers.",
    )
    score_mode: ScoreMode = Field(
        ScoreMode.DUAL, description="reward: partial; binary: all or nothing; dual: the larger."
    )
    verifier: Literal["task", "separate"] = Field(
        "task",
        description="Where tests run. task: where each task says; separate: in a fresh sandbox "
        "with the agent's files only, for every task whose files can be told apart.",
    )
    trust_disputed: bool = Field(
        False, description="A verdict that a fresh sandbox does not confirm counts all the same."
    )
    sandbox: Choice = Field(AUTO, description=f"Where tasks run. {AUTO_HELP}")
    runtime: str | None = Field(
        None,
        description="Docker's OCI runtime, such as runsc for a kernel of the sandbox's own. "
        "Empty: the engine's default.",
    )
    max_workers: int = Field(1, ge=1, le=64, description="Attempts that run at once.")
    max_steps: int = Field(100, ge=1, description="Steps of one attempt.")
    context_tokens: int = Field(
        150_000, ge=1_000, description="A longer conversation of the solver is summarised."
    )
    timeout_multiplier: float = Field(
        1.0, gt=0, le=1000.0, description="Scales every task's timeouts."
    )
    memory_headroom: float = Field(
        DEFAULT_HEADROOM,
        ge=1.0,
        le=16.0,
        description="A sandbox is ended above its task's memory times this.",
    )
    max_cost_usd: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=True,
        description="The run ends before it spends more. Empty: 10 with a real model, unless "
        "max_tokens_total is given. inf: no ceiling.",
    )
    max_tokens_total: int | None = Field(
        None, ge=1, description="The run ends before it uses more tokens."
    )
    requests_per_minute: int | None = Field(
        None,
        ge=1,
        description="Requests to each model in a minute, at most, by all runs with the same "
        "Prefect server. Empty: no limit.",
    )
    tokens_per_minute: int | None = Field(
        None,
        ge=1,
        description="The same for its tokens, the cached ones with them.",
    )
    rehearsal_price_as: str | None = Field(
        None,
        description="Price a rehearsal's tokens as this Claude model's: what a run would cost.",
    )
    skill_select_limit: int = Field(
        0, ge=0, description="Skills offered per task. 0: all; N: the N most relevant."
    )
    selection: Selection = Field(Selection.KEYWORD, description="How relevance is measured.")
    dispatch: Literal["inline", "deployment"] = Field(
        "inline", description="inline: attempts run in this process; deployment: on a work pool."
    )
    slice_size: int | None = Field(
        None,
        ge=1,
        description="Attempts of a slice at most. Empty: two minutes' work, then more as it goes.",
    )
    max_slices: int | None = Field(
        None,
        ge=1,
        description="Slices on a work pool at once, each of max_workers attempts at a time. "
        "Empty: one for each worker that is there.",
    )

    @model_validator(mode="before")
    @classmethod
    def _with_the_agents_profile(cls, given: Any) -> Any:
        """Take the profile from what else was given of the agent, where it was left open."""
        given = flat(cls, given)
        if not isinstance(given, dict):
            return given
        named = [name for name in _PROFILE_OF if given.get(name) not in (None, "")]
        if named and given.get("native_profile") in (None, ""):
            given = given | {"native_profile": _PROFILE_OF[named[0]]}
        return given

    @field_validator("solver", mode="before")
    @classmethod
    def _solver_by_its_place(cls, given: Any) -> Any:
        """Take a factory itself, from Python, for where it is: a run is told of in text."""
        return factory_place(given) if callable(given) else given

    @model_validator(mode="after")
    def _one_agent(self) -> Self:
        named = [name for name in _PROFILE_OF if getattr(self, name) is not None]
        if len(named) > 1:
            raise ValueError(f"{' and '.join(named)} are given; expected one of them")
        for name in named:
            if self.native_profile != _PROFILE_OF[name]:
                raise ValueError(
                    f"{name} is given with native_profile {self.native_profile.value}; "
                    f"expected {_PROFILE_OF[name].value}, or none"
                )
        if not named and self.native_profile in _PROFILE_OF.values():
            those = [n for n, profile in _PROFILE_OF.items() if profile == self.native_profile]
            raise ValueError(
                f"native_profile is {self.native_profile.value}; expected {' or '.join(those)} too"
            )
        return self

    @field_serializer("max_cost_usd", when_used="json")
    def _as_json(self, ceiling: float | None) -> float | str | None:
        return "inf" if ceiling == math.inf else ceiling  # JSON has no infinity
