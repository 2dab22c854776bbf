"""The files people write rules in: policies, rule packs, facts, approvers."""

from copy import deepcopy
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from grindstone.errors import InputError
from grindstone.untrusted import UntrustedError
from grindstone.untrusted import read_yaml as limited_yaml


def read_yaml(path: Path) -> object:
    """Return what a YAML file holds, as plain values.

    Raises:
        InputError: It is missing or no YAML.
    """
    if not path.is_file():
        raise InputError(str(path), "no such file", "a YAML file")
    try:
        return deepcopy(_parsed(path.read_text("utf-8")))
    except (UntrustedError, UnicodeDecodeError) as error:
        raise InputError(str(path), str(error), "valid YAML in UTF-8") from error


@lru_cache(maxsize=64)
def _parsed(text: str) -> object:
    """Parse a text once a process: every desk opens the same packs, facts and policies."""
    # Paid where a file is read.
    from ruamel.yaml import YAML

    return limited_yaml(text, YAML(typ="safe").load)  # by libyaml, in a quarter of the time


def names(pattern: str, name: str) -> bool:
    """Whether a pattern means a name; one that is spelled like it does, brackets and all."""
    return pattern == name or fnmatchcase(name, pattern)


def rule_files(folder: Path, what: str) -> list[Path]:
    """Return a folder's rule files by name.

    Args:
        folder: Where they lie.
        what: What they are, in the plural, for the message.

    Raises:
        InputError: There is no such folder, none in it, or one that its ending hides.
    """
    expected = f"a folder of {what} (*.yaml)"
    if not folder.is_dir():
        raise InputError(str(folder), "no such folder", expected)
    for path in sorted(folder.iterdir()):
        refuse_ending(path)
    found = sorted(folder.glob("*.yaml"))
    if not found:
        raise InputError(str(folder), "holds none", expected)
    return found


def refuse_ending(path: Path) -> None:
    """Refuse a file that looks like one of rules and would not be read.

    Raises:
        InputError: Its name ends otherwise than in `.yaml`, as in `.yml`.
    """
    if path.suffix.lower() in (".yaml", ".yml") and path.suffix != ".yaml" and path.exists():
        raise InputError(str(path), "would not be read", f"the name {path.stem}.yaml")


def input_error(path: Path, error: ValidationError, expected: str) -> InputError:
    """Return a validation error as the first problem's file, field and message."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    said = first["msg"].removeprefix("Value error, ").replace("valid tuple", "valid list")
    return InputError(f"{path}: {field}" if field else str(path), said, expected)
