"""Makes the reference pages of the documentation while mkdocs builds it: each fact has one owner.

Commands and flags come from the parser, settings from their models, tables from the row classes,
the Python names from the rooms' stubs. Nothing of it is kept as a file.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel

import grindstone
import grindstone.settings
from grindstone.flows.cli.app import COMMANDS, app
from grindstone.ledger.describe import describe_tables
from grindstone.settings import Settings

ENGINE = Path(grindstone.__file__).parent


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Name the made pages in the navigation."""
    python = [{name: f"reference/python/{name}.md"} for name in rooms()]
    made = [{title: path} for path, (title, _) in reference_pages().items()]
    for entry in config.nav or ():
        if "Reference" in entry and isinstance(entry, dict):
            entry["Reference"] = [*made, {"Python": python}]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the made pages."""
    texts = {path: text for path, (_, text) in reference_pages().items()}
    for path, text in (texts | {f"reference/python/{n}.md": room(n) for n in rooms()}).items():
        files.append(File.generated(config, path, content=text))
    return files


def reference_pages() -> dict[str, tuple[str, str]]:
    """Return title and text of the made pages but the Python ones, by where they are."""
    return {
        "reference/cli.md": ("Commands", "\n\n".join(_commands())),
        "reference/settings.md": ("Settings", "\n\n".join(_settings())),
        "reference/tables.md": ("Ledger tables", describe_tables()),
    }


def _cell(text: Any) -> str:
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# Commands


def _commands() -> Iterator[str]:
    group: Any = typer.main.get_command(app)
    yield "# Commands"
    yield (
        "Exit codes: 0 it did what was asked, 1 the answer is no, 2 unusable input, "
        "3 infrastructure. A flag that names a [setting](settings.md) is an environment variable "
        "too: `--max-cycles` is `GRINDSTONE_MAX_CYCLES`."
    )
    yield _table(
        ("command", ""),
        [(f"[{name}](#{name})", _cell(listed.help)) for name, listed in COMMANDS.items()],
    )
    for name in COMMANDS:
        yield from _command(group.get_command(None, name), (name,))


def _command(command: Any, names: tuple[str, ...]) -> Iterator[str]:
    parts = getattr(command, "commands", {})
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    words = " ".join(map(_metavar, arguments))
    usage = " ".join(filter(None, ("grindstone", *names, "COMMAND" if parts else words)))
    yield f"{'#' * (len(names) + 1)} {' '.join(names)}"
    yield _help(command.help or COMMANDS[names[0]].help)
    yield f"```text\n{usage}{'' if parts else ' [OPTIONS]'}\n```"
    rows = [_flag(option) for option in command.params if not option.hidden]
    if rows:
        yield _table(("", "value", "default", "meaning"), rows)
    for name, part in parts.items():
        yield from _command(part, (*names, name))


def _help(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


def _flag(option: Any) -> tuple[str, ...]:
    if option.param_type_name == "argument":
        shown, value = f"`{_metavar(option)}`", ""
    else:
        shown = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
        value = "" if option.is_flag else _metavar(option)
    return shown, _cell(value), _default_of(option), _cell(option.help or "")


def _metavar(option: Any) -> str:
    if option.param_type_name == "argument":
        return str(option.metavar or option.name.upper())
    kind = option.type_descriptor.annotation
    words = {str: "TEXT", int: "INTEGER", float: "NUMBER", Path: "PATH"}
    members = getattr(kind, "__members__", {})
    listed = f"[{'|'.join(str(member.value) for member in members.values())}]" if members else ""
    return str(option.metavar or listed or words.get(kind, "TEXT"))


def _default_of(option: Any) -> str:
    given = option.show_default if isinstance(option.show_default, str) else option.default
    if callable(given) or given in (None, False, "", (), []):
        return ""
    given = getattr(given, "value", given)
    return f"`{_cell(given)}`"


# Settings


def _settings() -> Iterator[str]:
    shown = [model for model in vars(grindstone.settings).values() if _is_model(model)]
    models = {part for model in shown for part in model.__mro__ if _is_model(part)}
    ordered = sorted(models, key=lambda model: (len(model.__mro__), model.__name__))
    yield "# Settings"
    yield (
        "What flows, forms, commands and `grindstone.settings` take. A name's ending is its unit: "
        "`_usd` US dollars, `_s` seconds, `_mb` megabytes. A model has the fields of those it is "
        "made of besides its own."
    )
    for model in ordered:
        own = [name for name in model.model_fields if name in model.__annotations__]
        bases = [base for base in model.__bases__ if _is_model(base)]
        yield f"## {model.__name__}"
        yield _help(model.__doc__ or "")
        if bases:
            links = [f"[{base.__name__}](#{base.__name__.lower()})" for base in bases]
            yield f"With the fields of {', '.join(links)}."
        if own:
            rows = [_field(name, model.model_fields[name]) for name in own]
            yield _table(("field", "takes", "default", "meaning"), rows)


def _is_model(found: Any) -> bool:
    known = isinstance(found, type) and issubclass(found, BaseModel)
    return known and found not in {BaseModel, Settings}


def _field(name: str, info: Any) -> tuple[str, ...]:
    limits = [_limit(item) for item in info.metadata]
    takes = ", ".join(filter(None, (_kind(info.annotation), *limits)))
    default = info.get_default(call_default_factory=True)
    default = str(default).lower() if isinstance(default, bool) else default
    told = "(empty)" if default in (None, [], "") else f"`{getattr(default, 'value', default)}`"
    return f"`{name}`", _cell(takes), told.replace("|", "\\|"), _cell(info.description or "")


def _kind(annotation: Any) -> str:
    parts = [part for part in get_args(annotation) if part is not type(None)]
    if get_origin(annotation) is Union or type(annotation).__name__ == "UnionType":
        return " or ".join(_kind(part) for part in parts)
    if str(get_origin(annotation)).endswith("Literal"):
        return ", ".join(map(str, parts))
    if hasattr(annotation, "__members__"):
        return ", ".join(str(member.value) for member in annotation)
    if parts and isinstance(get_origin(annotation), type):
        return f"{get_origin(annotation).__name__} of {', '.join(_kind(part) for part in parts)}"
    names = {
        "str": "text",
        "Path": "path",
        "int": "whole number",
        "float": "number",
        "bool": "true or false",
    }
    named = getattr(annotation, "__name__", str(annotation))
    return names.get(named, named)


def _limit(item: Any) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    return ", ".join(
        f"{sign} {getattr(item, name)}" for name, sign in signs.items() if hasattr(item, name)
    )


# Python


def rooms() -> list[str]:
    """Return the names of what has a page of Python names."""
    return ["flows", *sorted(stub.parent.name for stub in ENGINE.glob("*/__init__.pyi"))]


def room(name: str) -> str:
    """Return a room's page: its docstring, and each name its stub gives."""
    if name == "flows":
        return "# grindstone.flows\n\n::: grindstone.flows.evolver.SkillBenchEvolver"
    about = ast.get_docstring(ast.parse((ENGINE / name / "__init__.py").read_text())) or ""
    stub = ast.parse((ENGINE / name / "__init__.pyi").read_text())
    names = [
        f"::: grindstone.{name}.{node.module}.{alias.name}"
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]
    return "\n\n".join([f"# grindstone.{name}", about, *names])
