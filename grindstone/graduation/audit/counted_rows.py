"""The rows a promotion counted: which they are, and one digest over them all.

    <home>/audit/evidence/<root>.jsonl    a line per row: table, key, digest of its content

The promotion's event holds the Merkle root over the lines, so that the file can be
checked against the event and the ledger against the file, row by row.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel, Field, JsonValue, NonNegativeInt

from grindstone.base import Frozen
from grindstone.errors import InputError
from grindstone.graduation.audit.event import AuditEvent, EventKind
from grindstone.graduation.audit.merkle import leaf, root
from grindstone.graduation.audit.standing import Agent
from grindstone.graduation.registry import Registry
from grindstone.graduation.rules.policy import Policy
from grindstone.ledger import Ledger
from grindstone.ledger.columns import row_from
from grindstone.ledger.row import table_of
from grindstone.ledger.tables.attempts import SkillUseRow, StepRow, TrajectoryRow
from grindstone.ledger.tables.autonomy import ComplianceRow, InterventionRow, RatingRow
from grindstone.records import Episode, utc_now
from grindstone.untrusted import read_json

TABLES: tuple[type[BaseModel], ...] = (
    Episode,
    InterventionRow,
    ComplianceRow,
    RatingRow,
    SkillUseRow,
    TrajectoryRow,
    StepRow,
)
"""What readiness is computed from, and what was done in the episodes it counts."""
TOLD_OF_EXAMS: tuple[type[BaseModel], ...] = (Episode, TrajectoryRow, StepRow)
FIRST_TABLES = tuple(table_of(row).name for row in TABLES[:5])
"""What the first seals named: no steps."""
GRACE = timedelta(seconds=1)
"""A file's time may lag behind the clock's by some milliseconds."""

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
    tables: tuple[str, ...] = Field(FIRST_TABLES, description="Tables whose rows were counted.")
    read_at: AwareDatetime | None = Field(
        None, description="When the ledger was read; what it holds since was not there to count."
    )


class RowFinding(Frozen):
    """A row that is not as it was counted."""

    kind: Literal["deleted", "added", "changed", "later", "recorded later"]
    """The last two came in after the event: by their own word, or by the ledger's alone."""
    row: str

    @property
    def is_tampering(self) -> bool:
        """Whether somebody changed what was counted, or what the ledger held then."""
        return self.kind in ("deleted", "added", "changed")

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
    registry: Registry,
    policy: Policy,
    agent: Agent,
    packs: Sequence[str],
    exams: Sequence[str],
    tables: Collection[str] | None = None,
) -> list[CountedRow]:
    """Return the rows that an agent's readiness is computed from, by their places.

    Args:
        registry: The ledger.
        policy: Says which episodes count.
        agent: The agent as it stood: its level and since when.
        packs: Editions of the demanded rule packs.
        exams: Episodes of exams, counted beside the record.
        tables: Only of these; None: of all there are.
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
        if tables is not None and table_of(row).name not in tables:
            continue
        for run_key, item in with_runs(registry.ledger, row, ids):
            if isinstance(item, ComplianceRow) and item.waits:
                continue  # it says nothing yet, and gives way to a judge's row
            episode = str(item.model_dump(include={"episode_id"})["episode_id"])
            if (run_key, episode) in wanted or (row in TOLD_OF_EXAMS and episode in exams):
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
    packs, sat, read_at = registry.digests(policy), exam_episodes(exams), utc_now()
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
        tables=tuple(table_of(row).name for row in TABLES),
        read_at=read_at,
    )
    registry.chain.keep(list_path(registry.chain.folder, made.root), list_bytes(rows))
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
        for line in filter(None, content.decode().split("\n")):
            *place, mark = read_json(line)
            found[tuple(map(str, place))] = str(mark)
        fits = root_of(found) == seal.root
    except (ValueError, TypeError):
        fits = False
    if not fits:
        raise InputError(where, "was changed", f"the list of rows with the root {seal.root}")
    return found


def compare_rows(
    counted: Mapping[Place, str],
    present: Iterable[CountedRow],
    at: datetime,
    recorded_since: Callable[[CountedRow], bool] = lambda _: False,
) -> tuple[RowFinding, ...]:
    """Return what differs between the rows that were counted and those that are there.

    Args:
        counted: The digests by place.
        present: The rows that the same rules choose now.
        at: When they were counted.
        recorded_since: Tells whether the ledger holds a row only since then.
    """
    there = {row.place: row for row in present}
    found = [RowFinding(kind="deleted", row=named(each)) for each in counted if each not in there]
    for place, row in there.items():
        if place not in counted:
            found.append(RowFinding(kind=_uncounted(row, at, recorded_since), row=row.name))
        elif counted[place] != row.digest:
            found.append(RowFinding(kind="changed", row=row.name))
    return tuple(sorted(found, key=lambda item: (item.row, item.kind)))


def _uncounted(
    row: CountedRow, at: datetime, recorded_since: Callable[[CountedRow], bool]
) -> Literal["added", "later", "recorded later"]:
    if came_after(row, at):
        return "later"
    return "recorded later" if recorded_since(row) else "added"


def is_recorded_since(ledger: Ledger, read_at: datetime, row: CountedRow) -> bool:
    """Tell whether a row lies in no file that the ledger had when it was read.

    Files of a ledger are never changed, so a row in an older one was put there by somebody.
    """
    import polars as pl

    name, run_key, *key = row.place
    table = ledger.table(name)
    columns = [column for column in table.key if column != "run_key"]
    wanted = pl.all_horizontal(
        pl.col(column).cast(pl.String) == value for column, value in zip(columns, key, strict=True)
    )
    for part in ledger.live_parts(name, run_key):
        if ledger.scan_parts(table, [part.path]).filter(wanted).select(pl.len()).collect().item():
            return datetime.fromtimestamp(part.written_ns / 1e9, UTC) + GRACE > read_at
    return False


def came_after(row: CountedRow, at: datetime) -> bool:
    """Tell whether a row says of itself that it came after a moment."""
    stated = row.content.get("ended_at") or row.content.get("at")
    return isinstance(stated, str) and datetime.fromisoformat(stated) > at


def named(place: Place) -> str:
    """Return a place as a message names it."""
    table, run, *key = place
    return f"{table} {' '.join(key)} of run {run}"
