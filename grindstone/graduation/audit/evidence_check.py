"""Whether the rows that promotions rest on are still those that were counted."""

from collections.abc import Sequence
from functools import partial

from pydantic import NonNegativeInt, PositiveInt

from grindstone.base import Frozen
from grindstone.errors import GrindstoneError, InputError
from grindstone.graduation.audit.counted_rows import (
    RowFinding,
    RowsSeal,
    compare_rows,
    counted_rows,
    is_recorded_since,
    list_path,
    read_list,
    seal_of,
)
from grindstone.graduation.audit.event import AuditEvent
from grindstone.graduation.audit.standing import agent_of
from grindstone.graduation.registry import Registry
from grindstone.graduation.rules.policy import Policy
from grindstone.text import count

SHOWN = 50
"""Findings that are told one by one; all are counted."""


class PromotionEvidence(Frozen):
    """How the rows of one promotion stand."""

    event: PositiveInt
    agent_id: str
    rows: NonNegativeInt
    findings: tuple[RowFinding, ...] = ()  # those that came in later among them
    problem: str = ""  # why the rows could not be compared at all

    @property
    def intact(self) -> bool:
        """Whether every row is there as it was counted and none was slipped in."""
        return not self.problem and not any(item.is_tampering for item in self.findings)


class EvidenceCheck(Frozen):
    """How the rows of all promotions stand."""

    promotions: tuple[PromotionEvidence, ...]
    unsealed: tuple[PositiveInt, ...] = ()  # promotions that name no rows

    @property
    def intact(self) -> bool:
        """Whether every promotion's rows are as they were counted."""
        return all(item.intact for item in self.promotions)

    def lines(self) -> list[str]:
        """Return the findings as people read them."""
        told = []
        for item in self.promotions:
            wrong = [each for each in item.findings if each.is_tampering]
            later = len(item.findings) - len(wrong)
            head = f"event {item.event} ({item.agent_id}): {count(item.rows, 'row')}"
            if item.problem:
                told.append(f"{head}: {item.problem}")
                continue
            state = f"{len(wrong)} not as counted" if wrong else "all as counted"
            told.append(f"{head}: {state}" + (f"; {later} came later" if later else ""))
            told += [f"  {each}" for each in wrong[:SHOWN]]
            told += [f"  and {len(wrong) - SHOWN} more"] if len(wrong) > SHOWN else []
            late = [each for each in item.findings if each.kind == "recorded later"]
            told += [
                f"  {each.row}: says it was before, and is recorded since" for each in late[:5]
            ]
            told += [f"  and {len(late) - 5} more"] if len(late) > 5 else []
        if self.unsealed:
            named = ", ".join(map(str, self.unsealed))
            told.append(f"promotions that name no rows: {named}")
        return told


def check_evidence(registry: Registry, events: Sequence[AuditEvent]) -> EvidenceCheck:
    """Hold the ledger against what every promotion counted.

    Args:
        registry: The ledger.
        events: The chain's, each checked.
    """
    found: list[PromotionEvidence] = []
    unsealed: list[int] = []
    for event in events:
        seal = seal_of(event)
        if seal is not None:
            found.append(_check(registry, events, event, seal))
        elif event.kind.value == "promoted":
            unsealed.append(event.sequence)
    return EvidenceCheck(promotions=tuple(found), unsealed=tuple(unsealed))


def _check(
    registry: Registry, events: Sequence[AuditEvent], event: AuditEvent, seal: RowsSeal
) -> PromotionEvidence:
    path = list_path(registry.chain.folder, seal.root)
    findings: tuple[RowFinding, ...] = ()
    problem = ""
    try:
        if not path.is_file():
            raise InputError(str(path), "is missing", "the list of the rows that were counted")
        counted = read_list(path.read_bytes(), seal, str(path))
        policy = Policy.model_validate(seal.policy)
        agent = agent_of(events[: event.sequence - 1], event.agent_id, event.scope)
        present = counted_rows(registry, policy, agent, seal.packs, seal.exams, seal.tables)
        since = partial(is_recorded_since, registry.ledger, seal.read_at or event.at)
        findings = compare_rows(counted, present, event.at, since)
    except GrindstoneError as error:  # a damaged part of the ledger, or the list
        problem = str(error)
    return PromotionEvidence(
        event=event.sequence,
        agent_id=event.agent_id,
        rows=sum(seal.counts.values()),
        findings=findings,
        problem=problem,
    )
