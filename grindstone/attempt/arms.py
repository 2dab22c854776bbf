"""The two states of a workspace that a gate weighs, found by what a user calls them."""

from grindstone.base import Frozen
from grindstone.errors import InputError
from grindstone.files import read_record
from grindstone.home import Home
from grindstone.settings import GateSettings, ReleaseSettings
from grindstone.workspace import Snapshot, Workspace
from grindstone.workspace.errors import WorkspaceError


class Arms(Frozen):
    """The two states of a workspace that are compared."""

    baseline: Snapshot
    candidate: Snapshot


def kept_arms(home: Home, run_key: str) -> Arms | None:
    """Return the states that a run weighs, None where it has not fixed them.

    Raises:
        InputError: What was kept of them is damaged.
    """
    path = home.run(run_key).arms
    return read_record(path, Arms, "pair of states") if home.files.fetch(path) else None


def keep_arms(home: Home, run_key: str, arms: Arms) -> Arms:
    """Fix the states that a run weighs; return those that are, if somebody was faster."""
    path = home.run(run_key).arms
    home.files.claim(path, arms.model_dump_json())
    return read_record(path, Arms, "pair of states")


def arms_of(workspace: Workspace, settings: GateSettings | ReleaseSettings) -> Arms:
    """Return the states that the settings name, both tags and commits being names.

    Raises:
        InputError: A name is no state, or both are the same files.
    """
    found: dict[str, Snapshot] = {}
    unknown: list[InputError] = []
    for field in ("baseline", "candidate"):
        try:
            found[field] = _state(workspace, field, getattr(settings, field))
        except InputError as error:
            unknown.append(error)
    if unknown:
        raise InputError.together(unknown)
    arms = Arms(**found)
    if arms.baseline.tree == arms.candidate.tree:
        raise InputError(
            "baseline",
            f"{settings.baseline or 'it'} and the candidate {settings.candidate} are the same "
            "files, so there is nothing to weigh",
            "two states that differ",
        )
    return arms


def _state(workspace: Workspace, field: str, name: str | None) -> Snapshot:
    try:
        return workspace.snapshot(name or _before_last(workspace))
    except WorkspaceError as error:
        known = ", ".join(sorted(workspace.repository.tags())[-8:])
        expected = f"a commit or one of {known}"
        raise InputError(field, f"{name!r} is no state of it", expected) from error


def _before_last(workspace: Workspace) -> str:
    standing = [ref for ref in workspace.evolutions() if ref.changed and not ref.rejected]
    if not standing:
        expected = "a tag such as pre-evo-1, or a commit"
        raise InputError("baseline", "is not given, and nothing has evolved yet", expected)
    return standing[-1].before
