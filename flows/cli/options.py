"""Command-line options out of a settings model, so that flags, form and docs agree.

Every field becomes `--kebab-case` with the field's description as help and its default
as default. Truth values are given as words (`--use-skills false`), as the documents do.
"""

import inspect
import types
from collections.abc import Callable, Mapping
from enum import Enum, StrEnum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from grindstone.errors import InputError
from grindstone.settings import Settings


def environment_names(field: str) -> list[str]:
    """Return the environment variables that set a field: GRINDSTONE_<NAME>, then <NAME>."""
    return [f"GRINDSTONE_{field.upper()}", field.upper()]


def _plain(annotation: Any) -> Any:
    """Strip Annotated and Optional down to the type a person would name."""
    if get_origin(annotation) in (Union, types.UnionType):
        inner = [item for item in get_args(annotation) if item is not type(None)]
        return _plain(inner[0])
    return annotation


class Truth(StrEnum):
    """A truth value spelled out, so that `--use-skills false` reads as it is meant."""

    TRUE = "true"
    FALSE = "false"


def _spelling(annotation: Any) -> Any:
    """Return the type Typer is to see for a field's type."""
    plain = _plain(annotation)
    if plain is bool:
        return Truth
    if get_origin(plain) is list:
        return list[str]
    known = plain in (int, float, str, Path) or get_origin(plain) is Literal
    if known or (isinstance(plain, type) and issubclass(plain, Enum)):
        return plain
    raise TypeError(f"no command-line spelling for {annotation!r}")


def _default(info: FieldInfo) -> Any:
    value = info.get_default(call_default_factory=True)
    if isinstance(value, bool):
        return Truth.TRUE if value else Truth.FALSE
    return value


def parameters(
    model: type[Settings], panels: Mapping[str, str], *, hidden: frozenset[str] = frozenset()
) -> list[inspect.Parameter]:
    """Return one keyword parameter per field, grouped into help panels by field name."""
    found = []
    for name, info in model.model_fields.items():
        if name in hidden:
            continue
        annotation = _spelling(info.annotation)
        option = typer.Option(
            _default(info),
            f"--{name.replace('_', '-')}",
            help=info.description,
            envvar=environment_names(name),
            show_envvar=False,
            rich_help_panel=panels.get(name, "Run"),
        )
        plain = annotation if annotation == list[str] else annotation | None
        found.append(
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=plain
            )
        )
    return found


def settings_from(model: type[Settings], values: Mapping[str, Any]) -> Any:
    """Validate command-line values.

    Raises:
        InputError: Naming the first flag at fault and what it takes.
    """
    fields = {name: value for name, value in values.items() if name in model.model_fields}
    try:
        return model(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else model.__name__
        flag = f"--{name.replace('_', '-')}" if first["loc"] else name
        description = model.model_fields[name].description if name in model.model_fields else ""
        problem = f"{first['msg'].lower()}, got {first['input']!r}"
        raise InputError(flag, problem, description or "a valid value") from error


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
            settings = settings_from(model, values)
            command(settings, **{item.name: values[item.name] for item in own})

        own = [item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in own]
        every = [*parameters(model, panels, hidden=hidden), *own]
        wrapper.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
        wrapper.__annotations__ = {item.name: item.annotation for item in every}
        wrapper.__doc__ = command.__doc__
        wrapper.__name__ = command.__name__
        return wrapper

    return decorate
