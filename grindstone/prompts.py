"""Prompts are files beside the code that asks, with `$name` for what is filled in."""

from functools import cache
from importlib.resources import files
from string import Template


@cache
def template(room: str, name: str, *, folder: str = "prompts") -> Template:
    """Return a room's prompt, as the file `<folder>/<name>.md` has it.

    Args:
        room: A package of Grindstone, such as `evolve`.
        name: The file's name without its ending.
        folder: Where in the room it is.
    """
    return Template((files(f"grindstone.{room}") / folder / f"{name}.md").read_text("utf-8"))


def filled(room: str, name: str, /, **values: object) -> str:
    """Return a prompt with its places filled, without the line breaks at its end.

    Raises:
        KeyError: A place has no value.
    """
    return template(room, name).substitute(values).rstrip("\n")
