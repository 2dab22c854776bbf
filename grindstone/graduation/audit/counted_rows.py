"""The rows a promotion counted: which they are, and one digest over them all.

    <home>/audit/evidence/<root>.jsonl    a line per row: table, key, digest of its content

The promotion's event holds the Merkle root over the lines, so that the file can be
checked against the event and the ledger against the file, row by row.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, Field, JsonValue, NonNegativeInt

from grindstone.base import Frozen
from grindstone.errors import InputError
from grindstone.files import claim
from grindstone.graduation.audit.event import AuditEvent, EventKind
from grindstone.graduation.audit.merkle import leaf, root
from grindstone.graduation.audit.standing import Agent
from grindstone.graduation.registry import Registry
from grindstone.graduation.rules.policy import Policy
from grindstone.ledger import Ledger
from grindstone.ledger.columns import row_from
from grindstone.ledger.row import table_of
from grindstone.ledger.tables.attempts import SkillUseRow
from grindstone.ledger.tables.autonomy import ComplianceRow, InterventionRow, RatingRow
from grindstone.records import Episode
from grindstone.untrusted import read_json

TABLES: tuple[type[BaseModel], ...] = (
    Episode,
    InterventionRow,
    ComplianceRow,
    RatingRow,
    SkillUseRow,
)
"""What readiness is computed from."""

Place = tuple[str, ...]
"""A row's table and the values of its key, the run's first."""


class CountedRow(NamedTuple):
    """A row in its place, as plain JSON, with the digest of both."""

    place: Place
    content: dict[str, JsonValue]
    digest: str

    @property
    def name(self) -> str:
        """The row as a message names it."""
        return named(self.place)


class RowsSeal(Frozen):
    """What an event keeps of the rows it rests on."""

    root: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="Merkle root over their places and digests."
    )
    counts: dict[str, NonNegativeInt] = Field(description="Rows by table.")
    policy: dict[str, JsonValue] = Field(description="The rules that chose them, whole.")
    packs: tuple[str, ...] = Field((), description="Editions of the rule packs demanded.")
    exams: tuple[str, ...] = Field((), description="Episodes of the exams that were passed.")


class RowFinding(Frozen):
    """A row that is not as it was counted."""

    kind: Literal["deleted", "added", "changed", "later"]  # the last came in after the event
    row: str

    def __str__(self) -> str:
        return f"{self.row}: {self.kind}"


def counted_row(row: BaseModel, run_key: str) -> CountedRow:
    """Return a ledger row as it is counted; fields that hold their default are left out."""
    table = table_of(type(row))
    content = row.model_dump(mode="json", exclude_defaults=True)
    keys = (str(getattr(row, name)) for name in table.key if name != "run_key")
    place = (table.name, run_key, *keys)
    return CountedRow(place, content, leaf([list(place), content]))


def counted_rows(
    registry: Registry, policy: Policy, agent: Agent, packs: Sequence[str], exams: Sequence[str]
) -> list[CountedRow]:
    """Return the rows that an agent's readiness is computed from, by their places.

    Args:
        registry: The ledger.
        policy: Says which episodes count.
        agent: The agent as it stood: its level and since when.
        packs: Editions of the demanded rule packs.
        exams: Episodes of exams, counted beside the record.
    """
    from grindstone.graduation.evidence import measure

    levels = {agent.agent_id: measure.Since(agent.level, agent.since)}
    facts = measure.facts(
        measure.Tables.of(registry.ledger), digests=packs, agents=[agent.agent_id]
    )
    chosen = measure.in_scope(facts, policy, levels).select(*measure.KEY).collect()
    wanted = set(chosen.iter_rows())
    ids = {key for _, key in wanted} | set(exams)
    found = []
    for row in TABLES:
        for run_key, item in with_runs(registry.ledger, row, ids):
            if isinstance(item, ComplianceRow) and item.waits:
                continue  # it says nothing yet, and gives way to a judge's row
            episode = str(item.model_dump(include={"episode_id"})["episode_id"])
            if (run_key, episode) in wanted or (row is Episode and episode in exams):
                found.append(counted_row(item, run_key))
    return sorted(found)


def with_runs(
    ledger: Ledger, row: type[BaseModel], episode_ids: Iterable[str]
) -> Iterable[tuple[str, BaseModel]]:
    """Yield a table's rows on some episodes, each with its run."""
    import polars as pl

    table, about = table_of(row), pl.col("episode_id").is_in(sorted(episode_ids))
    for record in ledger.scan(row).filter(about).collect().to_dicts():
        yield record["run_key"], row.model_validate(row_from(row, table.columns, record))


def seal_rows(
    registry: Registry, policy: Policy, agent: Agent, exams: Sequence[AuditEvent]
) -> RowsSeal:
    """Write down the rows that count for an agent now, and return their seal.

    Raises:
        InputError: A pack the policy names does not exist.
    """
    packs, sat = registry.digests(policy), exam_episodes(exams)
    rows = counted_rows(registry, policy, agent, packs, sat)
    made = RowsSeal(
        root=root_of({row.place: row.digest for row in rows}),
        counts={
            name: sum(row.place[0] == name for row in rows)
            for name in sorted({row.place[0] for row in rows})
        },
        policy=policy.model_dump(mode="json"),
        packs=packs,
        exams=sat,
    )
    path = list_path(registry.chain.folder, made.root)
    path.parent.mkdir(parents=True, exist_ok=True)
    claim(path, list_bytes(rows))
    return made


def exam_episodes(exams: Iterable[AuditEvent]) -> tuple[str, ...]:
    """Return the episodes that exams were taken in."""
    found = set()
    for event in exams:
        results = event.evidence.get("results")
        for case in results if isinstance(results, list) else ():
            if isinstance(case, dict) and case.get("episode_id"):
                found.add(str(case["episode_id"]))
    return tuple(sorted(found))


def root_of(digests: Mapping[Place, str]) -> str:
    """Return the root over rows' digests, their places included, in the order given."""
    return root([leaf([*place, mark]) for place, mark in digests.items()])


def seal_of(event: AuditEvent) -> RowsSeal | None:
    """Return the seal a promotion holds; None for one that was made before there were seals."""
    found = event.evidence.get("rows")
    if event.kind is not EventKind.PROMOTED or not isinstance(found, dict):
        return None
    return RowsSeal.model_validate(found)


def list_path(folder: Path, mark: str) -> Path:
    """Return the file that lists the rows under a root."""
    return folder / "evidence" / f"{mark}.jsonl"


def list_bytes(rows: Iterable[CountedRow]) -> bytes:
    """Return the list of rows as its file holds it."""
    lines = (json.dumps([*row.place, row.digest], ensure_ascii=False) for row in rows)
    return "".join(f"{line}\n" for line in lines).encode()


def read_list(content: bytes, seal: RowsSeal, where: str) -> dict[Place, str]:
    """Return the digest of each row that was counted, by its place.

    Raises:
        InputError: The list is not the one the root was made of.
    """
    found: dict[Place, str] = {}
    try:
        for line in content.decode().splitlines():
            *place, mark = read_json(line)
            found[tuple(map(str, place))] = str(mark)
        fits = root_of(found) == seal.root
    except (ValueError, TypeError):
        fits = False
    if not fits:
        raise InputError(where, "was changed", f"the list of rows with the root {seal.root}")
    return found


def compare_rows(
    counted: Mapping[Place, str], present: Iterable[CountedRow], at: datetime
) -> tuple[RowFinding, ...]:
    """Return what differs between the rows that were counted and those that are there.

    Args:
        counted: The digests by place.
        present: The rows that the same rules choose now.
        at: When they were counted.
    """
    there = {row.place: row for row in present}
    found = [RowFinding(kind="deleted", row=named(each)) for each in counted if each not in there]
    for place, row in there.items():
        if place not in counted:
            kind: Literal["added", "later"] = "later" if came_after(row, at) else "added"
            found.append(RowFinding(kind=kind, row=row.name))
        elif counted[place] != row.digest:
            found.append(RowFinding(kind="changed", row=row.name))
    return tuple(sorted(found, key=lambda item: (item.row, item.kind)))


def came_after(row: CountedRow, at: datetime) -> bool:
    """Tell whether a row says of itself that it came after a moment."""
    stated = row.content.get("ended_at") or row.content.get("at")
    return isinstance(stated, str) and datetime.fromisoformat(stated) > at


def named(place: Place) -> str:
    """Return a place as a message names it."""
    table, run, *key = place
    return f"{table} {' '.join(key)} of run {run}"
