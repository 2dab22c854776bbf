"""What can be known to fail before a run starts: looked at together, told together.

It takes tenths of a second and starts nothing. The command line looks before it starts a
server, and the flows look again, since a form or a schedule may have started them.
"""

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from grindstone.agents.agent_file import load_agent
from grindstone.agents.plugins import plugged_in
from grindstone.attempt.arms import arms_of, kept_arms
from grindstone.attempt.spec import agent_of
from grindstone.benchmark import load_tasks
from grindstone.competency.checking import check_names
from grindstone.competency.members import chosen_members
from grindstone.competency.notation import dependency_of, keywords_of
from grindstone.errors import InputError
from grindstone.home import Home
from grindstone.llm.prices import PriceList, is_priced, no_price
from grindstone.llm.providers import Provider, Resolved, check_form, resolve_model_id
from grindstone.llm.service import Api, service_of
from grindstone.resources import bundled
from grindstone.room import require_room
from grindstone.runs.elsewhere import bring_rules
from grindstone.runs.plan import check_resumable, choose_tasks
from grindstone.runs.roster import require_agent
from grindstone.settings import (
    CompetencySettings,
    GateSettings,
    GraduationSettings,
    ReleaseSettings,
    RouteSettings,
    RunSettings,
)
from grindstone.spending import MODELS, real_models

MEASURES = frozenset({"compare", "gate-calibrate"})
"""What may begin an agent to measure it: the first one, or one whose seed is named."""

CHECKED = frozenset({"grind", "adapt", "compete", "route"})
"""What makes up a record: its attempts are held against the home's rules where they are made."""

Look = Callable[[], object]


def preflight(kind: str, settings: RunSettings, environ: Mapping[str, str]) -> None:
    """Make sure that a run can begin.

    Args:
        kind: The flow: grind, adapt, compare, gate, gate-calibrate, compete, route, review,
            exam, graduate, warrant or release.
        settings: With the saved blocks applied, where there are any.
        environ: Where credentials are looked for.

    Raises:
        InputError: Everything that is unusable, in one.
        OSError: The home cannot be written to, or its disk is full.
    """
    looks: list[Look] = [lambda: _models(settings, environ), lambda: _price_as(settings)]
    looks += [lambda: _agent(settings, environ), lambda: _priced(settings, environ)]
    if isinstance(settings, RouteSettings):
        looks += _route(settings)
    elif isinstance(settings, GraduationSettings):
        looks.append(lambda: _graduation(kind, settings))
    else:
        looks.append(lambda: check_resumable(kind, settings, choose_tasks(settings)[0]))
        looks.append(lambda: _seed(settings))
    if kind in CHECKED:
        looks.append(lambda: _rules(settings.home))
    if kind in MEASURES:
        looks.append(lambda: _measured(settings))
    elif kind == "warrant":
        looks.append(lambda: require_agent(settings.home, settings.agent_id))
    if isinstance(settings, GateSettings) and kind == "gate":
        looks.append(lambda: _gate(settings))
    if isinstance(settings, ReleaseSettings):
        looks.append(lambda: _release(settings))
    if isinstance(settings, CompetencySettings):
        looks += [
            lambda: dependency_of(settings.dependency),
            lambda: check_names(settings.domains) if settings.domains else (),
        ]
    found: list[InputError] = []
    for look in looks:
        try:
            look()
        except InputError as error:
            found.append(error)
    if found:
        raise InputError.together(found)
    require_room(settings.home.root)


def _models(settings: RunSettings, environ: Mapping[str, str]) -> None:
    unusable: dict[str, InputError] = {}  # by the sentence: two settings may name one model
    for name in MODELS:
        choice = getattr(settings, name, None)
        if choice is None:
            continue
        try:
            check_form(name, choice)
            resolve_model_id(choice, environ)
        except InputError as error:
            unusable[error.sentence] = error
    if unusable:
        raise InputError.together(list(unusable.values()))


def _priced(settings: RunSettings, environ: Mapping[str, str]) -> None:
    own = PriceList.of_environment(environ)
    if settings.max_cost_usd is None or not math.isfinite(settings.max_cost_usd):
        return
    try:
        asked = real_models(settings, environ)
    except InputError:  # told by `_models`
        return
    for model in asked:
        if not is_priced(model, own):
            raise no_price(model.model_id)


def _agent(settings: RunSettings, environ: Mapping[str, str]) -> None:
    """Look whether the agent is there, and whether its program can be given the model."""
    if settings.solver is not None:
        plugged_in(settings.solver)
    for role in ("evolver", "judge"):
        if (choice := getattr(settings, f"{role}_agent", None)) is not None:
            program, field = load_agent(choice), f"{role}_model_id"
            model_id = getattr(settings, field, None) or settings.model_id
            _reached(field, model_id, program.name, program.api, environ)
    if (agent := agent_of(settings)) is not None:
        asks = None if settings.agent is None else agent.api
        _reached("model_id", settings.model_id, agent.name, asks, environ)


def _reached(
    field: str, model_id: str, name: str, api: Api | None, environ: Mapping[str, str]
) -> None:
    """Look whether a program can be given a model.

    Args:
        field: The setting that names the model.
        model_id: The model.
        name: The program's.
        api: The API it speaks; None: nobody knows.
        environ: Where credentials are looked for.

    Raises:
        InputError: It cannot.
    """
    try:
        resolved = resolve_model_id(model_id, environ)
    except InputError:  # told by `_models`
        return
    service = service_of(resolved, environ)
    if api is not None and api not in service.urls:
        spoken = " or ".join(service.urls)
        problem = f"{name} speaks the {api.value} API, and {service.model} {spoken}"
        raise InputError(field, problem, f"a model that speaks {api.value}")


def _price_as(settings: RunSettings) -> None:
    name = settings.rehearsal_price_as
    if name is None:
        return
    if not is_priced(Resolved(model_id=name, provider=Provider.ANTHROPIC, reason="")):
        expected = "a Claude model's id, as in claude-opus-5-5"
        raise InputError("rehearsal_price_as", f"no price of {name!r} is known", expected)


def _seed(settings: RunSettings) -> None:
    if (seed := settings.seed_workspace) is None:
        return
    from grindstone.workspace import Workspace, read_manifest

    folder = settings.home.workspace(settings.agent_id)
    if folder.is_dir():
        Workspace.reading(folder).check_seed(seed)
    else:
        read_manifest(seed)


def _gate(settings: GateSettings) -> None:
    home = settings.home
    if settings.run_key and kept_arms(home, settings.run_key) is not None:
        return
    from grindstone.workspace import Workspace

    require_agent(home, settings.agent_id)
    arms_of(Workspace.reading(home.workspace(settings.agent_id)), settings)


def _release(settings: ReleaseSettings) -> None:
    require_agent(settings.home, settings.agent_id)
    if settings.signing_key is not None and not settings.signing_key.is_file():
        raise InputError("signing_key", f"{settings.signing_key} is no file", "a PEM key")


def _measured(settings: RunSettings) -> None:
    home = settings.home
    if settings.seed_workspace is None and (here := home.agents()):
        require_agent(home, settings.agent_id, here)


def _route(settings: RouteSettings) -> list[Look]:
    from grindstone.ledger import Ledger

    home = settings.home
    return [
        lambda: load_tasks(settings.tasks_dir or bundled("examples/tasks")),
        lambda: chosen_members(Ledger(home), settings.member),
        lambda: keywords_of(settings.keywords),
        lambda: _is_folder("environment_dir", settings.environment_dir),
    ]


def _graduation(kind: str, settings: GraduationSettings) -> None:
    from grindstone.graduation.decisions.edge_cases import load_case
    from grindstone.graduation.registry import open_desk

    registry = open_desk(
        settings.home,
        policies=settings.policies_dir,
        constitution=settings.constitution_dir,
    )
    known = {*registry.home.agents(), *registry.agents()}
    if kind == "review":
        for name in settings.agents:
            require_agent(registry.home, name, known, field="agents")
    else:
        require_agent(registry.home, settings.agent_id, known)
        registry.target_of(settings.agent_id, settings.target)
    for name in settings.cases:
        load_case(registry.home, name)
    if settings.signing_key is not None and not settings.signing_key.is_file():
        raise InputError("signing_key", f"{settings.signing_key} is no file", "a PEM key")


def _rules(home: Home) -> None:
    """Look at a home's own rules, which each attempt is held against; bundled ones are sound."""
    bring_rules(home)
    if any(os.path.lexists(each) for each in (home.policies, home.constitution, home.approvers)):
        from grindstone.graduation.registry import open_desk

        open_desk(home)


def _is_folder(field: str, folder: Path | None) -> None:
    if folder is not None and not folder.is_dir():
        raise InputError(field, f"{folder} is no folder", "a folder with a Dockerfile")
