"""The prompts of this room, as files beside the code."""

from functools import cache
from importlib import resources
from string import Template


@cache
def template(name: str) -> Template:
    """Return a prompt's template."""
    folder = resources.files("grindstone.competency") / "prompts"
    return Template((folder / f"{name}.md").read_text(encoding="utf-8"))
