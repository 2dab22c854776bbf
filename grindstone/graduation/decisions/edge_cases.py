"""Edge cases: tasks on which an agent once failed, kept so that others are tried on them.

    <home>/edge_cases/<case_id>/case.json     where it comes from and what went wrong
    <home>/edge_cases/<case_id>/<task_id>/    the task folder as it was then; in a home in
                                              object storage packed, as tasks/<digest>.tar.gz

A case is added whole or not at all, and never changed.
"""

import shutil
import tempfile
from pathlib import Path

from pydantic import AwareDatetime, ValidationError

from grindstone.base import Frozen
from grindstone.benchmark import Task, load_task
from grindstone.digest import SHORT, digest, digest_tree
from grindstone.errors import InputError
from grindstone.graduation.audit.event import AuditEvent, EventDraft, EventKind
from grindstone.graduation.registry import Registry
from grindstone.home import Home
from grindstone.ledger.recall import rows_of
from grindstone.ledger.tables.autonomy import InterventionRow
from grindstone.records import Episode
from grindstone.remote.folders import fetch_folder, put_folder


class EdgeCase(Frozen):
    """One case."""

    case_id: str
    task_id: str
    task_digest: str
    title: str
    description: str = ""
    topics: tuple[str, ...] = ()
    episode_id: str  # the failure it was made of
    agent_id: str  # who failed
    corrections: tuple[str, ...] = ()
    added_by: str
    added_at: AwareDatetime


def cases_folder(home: Home) -> Path:
    """Return where a home's edge cases lie."""
    return home.edge_cases


def case_ids(home: Home) -> tuple[str, ...]:
    """Return the ids of a home's edge cases, sorted."""
    root = cases_folder(home)
    found = root.glob("*/case.json") if root.is_dir() else ()
    return tuple(sorted(path.parent.name for path in found))


def load_case(home: Home, case_id: str) -> EdgeCase:
    """Read a case, by its own id or by the failed episode's.

    Raises:
        InputError: There is none, or it is damaged.
    """
    known = case_ids(home)
    if case_id in known:
        return _read(home, case_id)
    for name in known:
        if (case := _read(home, name)).episode_id == case_id:
            return case
    raise InputError(
        f"edge case {case_id}", "does not exist", f"one of {', '.join(known) or 'none so far'}"
    )


def _read(home: Home, name: str) -> EdgeCase:
    """Read the case of a folder, which bears its id: none answers for another."""
    path = cases_folder(home) / name / "case.json"
    try:
        case = EdgeCase.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise InputError(str(path), "is damaged", "an edge case as it was added") from error
    if case.case_id != name:
        raise InputError(f"{path}: case_id", f"is {case.case_id!r}", f"its folder's name, {name}")
    return case


def case_task(home: Home, case: EdgeCase) -> Task:
    """Return a case's task.

    Raises:
        InputError: Its files are no longer those that were added.
    """
    folder = cases_folder(home) / case.case_id / case.task_id
    if home.mirror is not None and not folder.is_dir():
        folder = fetch_folder(home.mirror, case.task_digest, case.task_id)
    task = load_task(folder)
    if task.digest != case.task_digest:
        raise InputError(str(task.path), "was changed", "the edge case as it was added")
    return task


def add_case(
    registry: Registry, episode: Episode, task_dir: Path, *, added_by: str, description: str = ""
) -> EdgeCase:
    """Keep a failed episode's task as an edge case; adding it again changes nothing.

    Args:
        registry: The home.
        episode: The failure.
        task_dir: The task it failed on.
        added_by: Who adds it.
        description: What went wrong, for people.

    Raises:
        InputError: Nobody is named, the episode was no failure, or the folder is not the task
            it failed on.
    """
    adder = registry.person(added_by, "cases", where="added_by").name
    edits = rows_of(registry.ledger, InterventionRow, episode.run_key, [episode.episode_id])
    uncorrected = not edits and episode.human_intervention_count == 0
    if episode.passed and uncorrected and episode.constitutional_score != 0.0:
        raise InputError(
            f"episode {episode.episode_id}", "succeeded uncorrected", "a recorded failure"
        )
    task = load_task(task_dir)
    if episode.task_digest and task.digest != episode.task_digest:
        raise InputError(str(task_dir), f"is not {episode.task_id} as it was", "the same files")
    case = EdgeCase(
        case_id=f"{task.task_id}-{task.digest[:SHORT]}",
        task_id=task.task_id,
        task_digest=task.digest,
        title=episode.title or task.title or task.task_id,
        description=description,
        topics=episode.topics,
        episode_id=episode.episode_id,
        agent_id=episode.agent_id,
        corrections=tuple(
            f"{edit.field}: {edit.original} → {edit.correction} ({edit.reason})" for edit in edits
        ),
        added_by=adder,
        added_at=registry.clock(),
    )
    if case.case_id not in case_ids(registry.home):
        _lay(registry.home, case, task)
    kept = load_case(registry.home, case.case_id)
    case_task(registry.home, kept)  # who adds it answers for what lies there
    registry.chain.append(lambda events: None if _is_added(events, kept) else _event(kept, adder))
    return kept


def _is_added(events: tuple[AuditEvent, ...], case: EdgeCase) -> bool:
    return any(
        event.kind is EventKind.CASE_ADDED and event.subject == case.case_id for event in events
    )


def _lay(home: Home, case: EdgeCase, task: Task) -> None:
    root, written = cases_folder(home), case.model_dump_json(indent=2) + "\n"
    if home.mirror is not None:  # storage keeps no executable bits: the folder travels packed
        put_folder(home.mirror, task.path, task.digest)
        home.mirror.claim(root / case.case_id / "case.json", written)
        return
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=root) as scratch:
        made = Path(scratch) / case.case_id
        shutil.copytree(task.path, made / case.task_id, symlinks=True)
        if digest_tree(made / case.task_id) != digest_tree(task.path):
            raise InputError(str(task.path), "changed while it was copied", "files at rest")
        (made / "case.json").write_text(written, "utf-8")
        try:
            made.rename(root / case.case_id)
        except OSError:
            if not (root / case.case_id / "case.json").exists():
                raise  # not that another process was first


def _event(case: EdgeCase, by: str) -> EventDraft:
    return EventDraft(
        kind=EventKind.CASE_ADDED,
        subject=case.case_id,
        by=by,
        reason=case.description or f"{case.agent_id} failed on {case.task_id}",
        evidence={
            "episode_id": case.episode_id,
            "task_digest": case.task_digest,
            "case_digest": digest(case),
        },
        at=case.added_at,
    )
