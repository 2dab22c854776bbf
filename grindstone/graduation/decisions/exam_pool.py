"""The edge cases an exam is made of, and those that fell out of it: an exam gets no easier unsaid.

What was ever added is known from the audit trail. A case is taken out by a named human's word,
which is an event too; one that merely is gone from the home lets no exam be passed. Training
takes out the cases it was on, and where it took most of them, what is left is no exam.
"""

from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

from grindstone.digest import digest
from grindstone.errors import InputError
from grindstone.graduation.audit.event import AuditEvent, EventDraft, EventKind
from grindstone.graduation.decisions.edge_cases import EdgeCase, case_ids, case_task, load_case
from grindstone.graduation.registry import Registry
from grindstone.graduation.rules.policy import Policy
from grindstone.graduation.rules.scope import Scope, Subject
from grindstone.home import Home
from grindstone.joined import joined
from grindstone.ledger.recall import rows_of
from grindstone.ledger.tables.releases import TaskPartRow
from grindstone.records import Episode, Purpose
from grindstone.text import count


class ExamPool(NamedTuple):
    """An agent's edge cases under a policy."""

    cases: tuple[EdgeCase, ...]  # to be attempted
    trained_on: tuple[str, ...] = ()  # ids of those whose tasks it was trained on
    gone: tuple[str, ...] = ()  # added by the trail's word, and no longer in the home

    @property
    def left(self) -> float:
        """The share of the present cases that is left to attempt, in [0, 1]."""
        every = len(self.cases) + len(self.trained_on)
        return len(self.cases) / every if every else 1.0

    def lacking(self, policy: Policy, agent_id: str) -> str:
        """Say why what is left is no exam; empty where it is one."""
        if self.gone:
            return (
                f"{', '.join(self.gone)} of the edge cases that were added {_are(self.gone)} no "
                "longer in the home as added; put back what was there, or `grindstone exam retire` "
                "it"
            )
        if self.cases and self.left < policy.exam.min_share - 1e-9:
            return (
                f"{self.told(agent_id)}; the policy asks for {policy.exam.min_share:.0%} of them "
                "to be attempted"
            )
        return ""

    def told(self, agent_id: str) -> str:
        """Say which cases training took out; empty where it took none."""
        if not self.trained_on:
            return ""
        every = count(len(self.cases) + len(self.trained_on), "edge case")
        names = ", ".join(self.trained_on)
        return f"of {every} {agent_id} was trained on {len(self.trained_on)} ({names})"


def pool_of(registry: Registry, policy: Policy, agent_id: str) -> ExamPool:
    """Return the edge cases an agent's exam is made of: those it was never trained on.

    A policy for a part of the work examines on cases of that part: made of an episode of it, or
    tasks that belong to it.
    """
    events = registry.chain.events()
    every = distinct(registry, _of_policy(registry, policy, events))
    cases = untrained(registry, policy, agent_id, every)
    return ExamPool(
        tuple(cases),
        tuple(case.case_id for case in every if case not in cases),
        tuple(name for name in gone_cases(registry, events) if _counts(policy, name)),
    )


def gone_cases(registry: Registry, events: Sequence[AuditEvent]) -> tuple[str, ...]:
    """Return the ids of cases that were added, never retired, and are not in the home so."""
    asked = _added(events).keys() - retired_cases(events)
    there = {case.case_id for case in _standing(registry, events)}
    return tuple(sorted(asked - there))


def named_cases(registry: Registry, names: Sequence[str]) -> tuple[EdgeCase, ...]:
    """Return the cases of those ids, or of those failed episodes; each once.

    Raises:
        InputError: There is none of that name that was added, stands and is as it was added.
    """
    events = registry.chain.events()
    standing = _standing(registry, events)
    by_name = {case.episode_id: case for case in reversed(standing)}
    by_name |= {case.case_id: case for case in standing}
    for name in names:
        if name not in by_name:
            known = load_case(registry.home, name).case_id  # or there is none at all
            problem = "was never added"
            if known in retired_cases(events):
                problem = "was retired"
            elif known in _added(events):
                problem = "was changed"
            there = ", ".join(case.case_id for case in standing) or "none so far"
            raise InputError(f"edge case {known}", problem, f"one of {there}")
    return tuple({by_name[name].case_id: by_name[name] for name in names}.values())


def _added(events: Sequence[AuditEvent]) -> dict[str, AuditEvent]:
    """Return the event of each added case: what a named human vouched for."""
    return {event.subject: event for event in events if event.kind is EventKind.CASE_ADDED}


def _standing(registry: Registry, events: Sequence[AuditEvent]) -> list[EdgeCase]:
    """Return the cases that were added, never retired, and lie in the home as they were added."""
    added, out = _added(events), retired_cases(events)
    return [
        case
        for name in case_ids(registry.home)
        if name in added and name not in out
        if (case := _as_added(registry.home, name, added[name])) is not None
    ]


def _as_added(home: Home, name: str, event: AuditEvent) -> EdgeCase | None:
    try:
        case = load_case(home, name)
        case_task(home, case)
    except InputError:
        return None
    said = event.evidence
    kept = said.get("case_digest", digest(case))  # the first events do not tell it
    same = (said.get("task_digest"), said.get("episode_id"), kept)
    return case if same == (case.task_digest, case.episode_id, digest(case)) else None


def retired_cases(events: Sequence[AuditEvent]) -> set[str]:
    """Return the ids of cases that a named human took out."""
    return {event.subject for event in events if event.kind is EventKind.CASE_RETIRED}


def retire_case(registry: Registry, case_id: str, *, by: str, reason: str) -> AuditEvent:
    """Take a case out of all exams; it stays where it lies.

    Args:
        registry: The home.
        case_id: The case's own id, which may be gone from the home.
        by: Who answers for it.
        reason: Why; it goes into the trail.

    Raises:
        InputError: Nobody is named, no reason is given, or no such case stands.
    """
    name = registry.person(by, "cases", where="--by").name
    if not reason.strip():
        raise InputError("--reason", "is empty", "why exams need not ask for it any more")

    def decide(events: tuple[AuditEvent, ...]) -> EventDraft:
        added = {event.subject for event in events if event.kind is EventKind.CASE_ADDED}
        standing = sorted((added | set(case_ids(registry.home))) - retired_cases(events))
        if case_id not in standing:
            there = ", ".join(standing) or "none so far"
            raise InputError(f"edge case {case_id}", "is none that stands", f"one of {there}")
        return EventDraft(
            kind=EventKind.CASE_RETIRED,
            subject=case_id,
            by=name,
            reason=reason,
            evidence={"gone": case_id not in case_ids(registry.home)},
            at=registry.clock(),
        )

    event = registry.chain.append(decide)
    assert event is not None
    return event


def why_no_case(registry: Registry, policy: Policy, pool: ExamPool, agent_id: str) -> str:
    """Say why there is nothing to attempt, where cases were kept."""
    kept = len(case_ids(registry.home))
    if not kept or pool.cases:
        return "there was no edge case to attempt"
    why = []
    if pool.trained_on:
        why.append(f"{agent_id} was trained on the tasks of {len(pool.trained_on)}")
    if elsewhere := kept - len(pool.trained_on):
        why.append(f"{elsewhere} are not among those that its policy examines on")
    return f"of {kept} edge cases there was none to attempt: {', '.join(why)}"


def untrained(
    registry: Registry, policy: Policy, agent_id: str, cases: Sequence[EdgeCase]
) -> list[EdgeCase]:
    """Return the cases whose task an agent was never trained on, where its policy asks for that.

    A task that was edited since is the same task, and so is a copy of it in other words.
    """
    if not (policy.exam.untrained and cases):
        return list(cases)
    import polars as pl

    seen = (
        registry.ledger.scan(Episode)
        .filter(
            (pl.col("agent_id") == agent_id)
            & pl.col("purpose").is_in([each.value for each in Purpose if each.trains])
        )
        .select("task_id", "task_digest")
        .unique()
        .collect()
    )
    ids, digests = set(seen["task_id"]), set(seen["task_digest"])
    fresh = [case for case in cases if case.task_id not in ids and case.task_digest not in digests]
    kin = _kin(registry, digests) if fresh else set()
    return [case for case in fresh if kin.isdisjoint(_marks(registry, case))]


def distinct(registry: Registry, cases: Sequence[EdgeCase]) -> list[EdgeCase]:
    """Return one case of each task: a copy, by another id or in other words, asks nothing new."""
    known = {case.case_id: case for case in cases}
    units = joined(
        {name: (case.task_digest, *_marks(registry, case)) for name, case in known.items()}
    )
    return [known[unit[0]] for unit in units]


def _marks(registry: Registry, case: EdgeCase) -> tuple[str, ...]:
    """Return what a case's task has in common with every copy of it."""
    task = case_task(registry.home, case)
    return (task.fingerprint, *task.twins)


def _kin(registry: Registry, digests: Collection[str]) -> set[str]:
    """Return what the copies of tasks have, as runs noted it of these."""
    import polars as pl

    rows = (
        registry.ledger.scan(TaskPartRow)
        .filter(pl.col("task_digest").is_in(sorted(filter(None, digests))))
        .select("fingerprint", "twins")
        .collect()
    )
    return {mark for words, twins in rows.iter_rows() for mark in (words, *(twins or ())) if mark}


def _are(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _counts(policy: Policy, case_id: str) -> bool:
    return any(fnmatchcase(case_id, pattern) for pattern in policy.exam.cases)


def _of_policy(registry: Registry, policy: Policy, events: Sequence[AuditEvent]) -> list[EdgeCase]:
    # What lies there without an event, or otherwise than it says, was added by nobody.
    cases = [case for case in _standing(registry, events) if _counts(policy, case.case_id)]
    return [case for case in cases if _concerns(registry, case, policy.scope)]


def _concerns(registry: Registry, case: EdgeCase, scope: Scope) -> bool:
    if scope.everything:
        return True
    task = case_task(registry.home, case)
    own = Subject(task.category, task.tags, case.topics, case.title)
    if scope.holds(own):
        return True
    failed = rows_of(registry.ledger, Episode, None, [case.episode_id])
    return any(
        scope.holds(Subject(each.category, each.tags, each.topics, each.title, each.metadata))
        for each in failed
    )
