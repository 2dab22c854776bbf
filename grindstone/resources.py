"""Where the bundled tasks, seed workspaces and policies are, in a checkout or installed."""

from pathlib import Path

from grindstone.errors import InputError


def bundled(name: str) -> Path:
    """Return the path of a bundled file or folder such as `seed_workspaces/skillbench`.

    Raises:
        InputError: There is none of that name.
    """
    package = Path(__file__).resolve().parent
    for root in (package / "_bundled", package.parent):
        if (root / name).exists():
            return root / name
    raise InputError(name, "is not bundled", "a file or folder shipped with Grindstone")
