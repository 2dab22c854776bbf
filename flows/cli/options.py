"""Command-line options out of a settings model, so that flags, form and docs agree.

Every field becomes `--kebab-case` with the field's description as help and its default
as default. The model alone reads the values, so that everything wrong is told at once,
under the name of the flag or the variable that said it. Truth values are given as words
(`--use-skills false`), as the documents do.
"""

import inspect
import os
import types
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from grindstone.benchmark.environ import pass_on
from grindstone.errors import InputError
from grindstone.flows.cli.environment import unread_variables, variable_of
from grindstone.flows.cli.output import say
from grindstone.settings import Settings
from grindstone.validation import faults

_WORDS: Mapping[Any, str] = {
    bool: "[true|false]",
    int: "INTEGER",
    float: "NUMBER",
    str: "TEXT",
    Path: "PATH",
}


class Given(NamedTuple):
    """A value somebody gave, and where."""

    value: Any
    where: str


def _plain(annotation: Any) -> Any:
    """Strip Annotated and Optional down to the type a person would name."""
    if get_origin(annotation) in (Union, types.UnionType):
        inner = [item for item in get_args(annotation) if item is not type(None)]
        return _plain(inner[0])
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    return annotation


def _words(annotation: Any) -> str:
    """Return what `--help` says a value looks like."""
    plain = _plain(annotation)
    if get_origin(plain) is Literal:
        return f"[{'|'.join(map(str, get_args(plain)))}]"
    if isinstance(plain, type) and issubclass(plain, Enum):
        return f"[{'|'.join(str(member.value) for member in plain)}]"
    if _is_list(annotation):
        return "TEXT"
    if plain not in _WORDS:
        raise TypeError(f"no command-line spelling for {annotation!r}")
    return _WORDS[plain]


def _is_list(annotation: Any) -> bool:
    return get_origin(_plain(annotation)) is list


def _default(info: FieldInfo) -> str | bool:
    value = info.get_default(call_default_factory=True)
    if value is None or value == []:
        return False
    if isinstance(value, bool):
        return str(value).lower()
    return str(value.value if isinstance(value, Enum) else value)


def flag(name: str) -> str:
    """Return a field's flag."""
    return f"--{name.replace('_', '-')}"


def parameters(
    model: type[Settings], panels: Mapping[str, str], *, hidden: frozenset[str] = frozenset()
) -> list[inspect.Parameter]:
    """Return one keyword parameter per field, grouped into help panels by field name."""
    found = []
    for name, info in model.model_fields.items():
        if name in hidden:
            continue
        option = typer.Option(
            None,
            flag(name),
            metavar=_words(info.annotation),
            help=info.description,
            show_default=_default(info),
            rich_help_panel=panels.get(name, "Run"),
        )
        plain: Any = list[str] if _is_list(info.annotation) else str
        found.append(
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=plain | None
            )
        )
    return found


def given_values(
    model: type[Settings], values: Mapping[str, Any], environ: Mapping[str, str]
) -> dict[str, Given]:
    """Return what was given for a model's fields: by flag, else by a variable.

    Args:
        model: Whose fields.
        values: By field, as the command line has them; None or [] where the flag was not given.
            Fields that are not in it have no flag, and are not read from variables either.
        environ: The environment.
    """
    found: dict[str, Given] = {}
    for name in model.model_fields:
        if name not in values:
            continue
        if values[name] not in (None, []):
            found[name] = Given(values[name], flag(name))
            continue
        variable = variable_of(name, environ)
        if variable is not None:
            is_list = _is_list(model.model_fields[name].annotation)
            value = _listed(name, variable.value) if is_list else variable.value
            found[name] = Given(value, variable.name)
    return found


def _listed(name: str, text: str) -> list[str]:
    """Return a variable's list: with commas between, which keywords themselves have."""
    apart = text.split() if name == "keywords" else text.split(",")
    return [part.strip() for part in apart if part.strip()]


def settings_from(model: type[Settings], given: Mapping[str, Given]) -> Any:
    """Validate what was given.

    Raises:
        InputError: Naming every flag and variable at fault and what each takes.
    """
    try:
        return model(**{name: item.value for name, item in given.items()})
    except ValidationError as error:
        raise InputError.together(
            [
                InputError(_where(fault.place, given), fault.problem, fault.expected)
                for fault in faults(error)
            ]
        ) from error


def _where(place: tuple[str, ...], given: Mapping[str, Given]) -> str:
    if not place:
        return "settings"
    return given[place[0]].where if place[0] in given else flag(place[0])


def _by_origin(error: InputError, model: type[Settings], given: Mapping[str, Given]) -> InputError:
    """Name the flags and variables that gave the fields which an error of the engine names."""
    return InputError.together(
        [
            InputError(_where((each.where,), given), each.problem, each.expected)
            if each.where in model.model_fields
            else InputError(each.where, each.problem, each.expected)
            for each in error.each
        ]
    )


def tell_variables(fields: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Say which variables steer a command, the fields whose flag was not given, and which none."""
    found = (variable_of(name, environ) for name, value in fields.items() if value in (None, []))
    told = [variable.told for variable in found if variable is not None]
    if told:
        say(f"From the environment: {', '.join(told)}")
    for sentence in unread_variables(_all_fields(Settings), environ):
        say(sentence)


def _all_fields(model: type[Settings]) -> set[str]:
    """Return the names of a model's fields and of those of all models derived from it."""
    more = (_all_fields(derived) for derived in model.__subclasses__())
    return set(model.model_fields).union(*more)


PASS_ENV_OPTION = "pass_env"
PASS_ENV_HELP = "Variables of this machine that tasks may read as ${NAME}; none else is given."


def _pass_env() -> inspect.Parameter:
    """Return the option that is no setting: what a form asks for must not reach the host's own."""
    option = typer.Option(
        None, flag(PASS_ENV_OPTION), metavar="NAME", help=PASS_ENV_HELP, rich_help_panel="Tasks"
    )
    return inspect.Parameter(
        PASS_ENV_OPTION,
        inspect.Parameter.KEYWORD_ONLY,
        default=option,
        annotation=list[str] | None,
    )


def takes_settings(
    model: type[Settings], panels: Mapping[str, str], *, hidden: frozenset[str] = frozenset()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command all options of a settings model; it is called with the model, validated."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = [
            parameter
            for parameter in inspect.signature(command).parameters.values()
            if parameter.name != "settings"
        ]

        def wrapper(**values: Any) -> None:
            pass_on(values.pop(PASS_ENV_OPTION) or (), os.environ)
            fields = {name: value for name, value in values.items() if name in model.model_fields}
            tell_variables(fields, os.environ)
            given = given_values(model, fields, os.environ)
            settings = settings_from(model, given)
            try:
                command(settings, **{item.name: values[item.name] for item in own})
            except InputError as error:
                raise _by_origin(error, model, given) from error

        own = [item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in own]
        every = [*parameters(model, panels, hidden=hidden), _pass_env(), *own]
        wrapper.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {item.name: item.annotation for item in every}
        wrapper.__doc__ = command.__doc__
        wrapper.__name__ = command.__name__
        return wrapper

    return decorate
