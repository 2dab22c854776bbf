"""A settings model as the tables of the documentation; a test keeps the pages up to date."""

import json
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from grindstone.settings import Settings


def settings_tables(model: type[Settings], panels: Mapping[str, str]) -> str:
    """Return a Markdown table per help panel: flag, default, meaning.

    Args:
        model: Whose fields are the flags.
        panels: Panel by field name; fields it leaves out are in "Run".
    """
    groups: dict[str, list[str]] = {name: [] for name in (*panels.values(), "Run")}
    for name, info in model.model_fields.items():
        default = _shown(info.get_default(call_default_factory=True))
        flag = f"`--{name.replace('_', '-')}`"
        meaning = (info.description or "").replace("|", "\\|")
        groups[panels.get(name, "Run")].append(f"| {flag} | {default} | {meaning} |")
    head = "| flag | default | meaning |\n|---|---|---|\n"
    return "\n\n".join(
        f"**{title}**\n\n{head}" + "\n".join(rows) for title, rows in groups.items() if rows
    )


def _shown(value: Any) -> str:
    if value is None or value == []:
        return "(empty)"
    if isinstance(value, bool):
        return f"`{json.dumps(value)}`"
    if isinstance(value, Enum):
        return f"`{value.value}`"
    return f"`{value}`" if not isinstance(value, Path) else f"`{value.as_posix()}`"


if __name__ == "__main__":
    from grindstone.flows.cli.grind import PANELS
    from grindstone.settings import GrindSettings

    print(settings_tables(GrindSettings, PANELS))
