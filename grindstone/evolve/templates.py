"""Prompt templates of this package, read from their files."""

from functools import cache
from importlib.resources import files


@cache
def template(name: str) -> str:
    """Return the text of `prompts/<name>.md` without the line break at its end."""
    path = files("grindstone.evolve") / "prompts" / f"{name}.md"
    return path.read_text(encoding="utf-8").rstrip("\n")
