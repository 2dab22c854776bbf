"""Warrants: what each skill of a library is known to do, how long that holds, what follows.

A warrant is good for one model, one state of the skill and one set of tasks. When any of them
changes it lapses, and the skill is in doubt again. That a skill is harmless was seen beside the
others, and two that teach the same are each harmless beside the other: so only one of these is
retired at a time, and only while the library is the one it was measured in.
"""

import shutil
from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

from grindstone.digest import digest
from grindstone.ledger import Ledger
from grindstone.ledger.tables.attempts import SkillUseRow
from grindstone.ledger.tables.library import WarrantRow
from grindstone.ledger.tables.runs import EvolutionRow
from grindstone.records import Arm, Episode, Outcome, utc_now
from grindstone.skills import Skill, SkillLibrary
from grindstone.workspace import Workspace

WarrantState = Literal["helps", "harmless", "harms", "unknown", "never loaded"]


POLICIES: dict[str, frozenset[WarrantState]] = {
    "nothing": frozenset(),
    "harmful": frozenset({"harms"}),
    "useless": frozenset({"harms", "harmless", "never loaded"}),
}
"""States that are not kept, by the policy's name."""


class SkillInDoubt(NamedTuple):
    """A skill without a warrant that holds."""

    skill: str
    skill_digest: str
    task_ids: tuple[str, ...]  # where it is offered
    tasks_digest: str
    why: str


class SkillUseCount(NamedTuple):
    """In how many scored attempts of a model a skill was offered, loaded and followed."""

    offered: int = 0
    loaded: int = 0
    followed: int = 0
    clusters: frozenset[str] = frozenset()
    """What it was offered in, each once however often it was attempted: its chances to be read."""


def tasks_digest(digests: Collection[str]) -> str:
    """Return what a set of tasks is known by."""
    return digest([*sorted(digests)])


def latest_warrants(ledger: Ledger, agent_id: str) -> dict[str, WarrantRow]:
    """Return an agent's newest warrant of each skill, lapsed ones included."""
    rows = [row for row in ledger.rows(WarrantRow) if row.agent_id == agent_id]
    return {row.skill: row for row in sorted(rows, key=lambda row: row.at)}


def why_lapsed(
    row: WarrantRow | None, *, skill_digest: str, model: str, tasks: str | None = None
) -> str:
    """Return why a skill is in doubt; empty while its warrant holds.

    Args:
        row: Its newest warrant.
        skill_digest: Of the skill as it is now.
        model: That the agent works with now.
        tasks: Digest of the tasks where it is offered now; None: whatever they are.
    """
    if row is None:
        return "none was earned yet"
    changed = [
        word
        for word, then, now in (
            ("the skill", row.skill_digest, skill_digest),
            ("the model", row.model, model),
            ("the tasks", row.tasks_digest, tasks or row.tasks_digest),
        )
        if then != now
    ]
    return f"{' and '.join(changed)} changed" if changed else ""


def known_states(ledger: Ledger, agent_id: str, library: SkillLibrary) -> dict[str, str]:
    """Return what each skill that says the same as when it was measured was known to do last."""
    newest = latest_warrants(ledger, agent_id)
    return {
        name: newest[name].state
        for name in library.names()
        if name in newest and newest[name].skill_digest == library.digest(name)
    }


def uses_of(
    ledger: Ledger,
    agent_id: str,
    model: str,
    skills: Sequence[Skill],
    clusters: Mapping[str, str] | None = None,
) -> dict[str, SkillUseCount]:
    """Return how an agent has used general skills with a model, by their names.

    Only attempts with a score count. An audit's own attempts without some skill are no chances:
    they repeat its tasks, once for each other skill. Nor are offers of another text of a skill:
    what was not read then may be read now.

    Args:
        ledger: The home's.
        agent_id: The agent.
        model: The model it worked with.
        skills: The skills as they are now.
        clusters: What a task counts with, by its id; a task that is not in it counts by itself.
    """
    import polars as pl

    own = (
        ledger.scan(Episode)
        .filter(pl.col("agent_id") == agent_id, pl.col("model") == model)
        .filter(pl.col("outcome") != Outcome.ERROR.value)
        .filter(pl.col("arm").fill_null("") != Arm.WITHOUT.value)
        .select("episode_id", "task_id")
    )
    texts = ["", *(skill.digest for skill in skills)]  # empty: recorded by who did not know it
    found = (
        ledger.scan(SkillUseRow)
        .filter(pl.col("scope") == "general", pl.col("skill_digest").is_in(texts))
        .join(own, on="episode_id")
        .group_by("skill")
        .agg(
            pl.len().alias("offered"),
            pl.col("loaded").sum(),
            pl.col("followed").sum(),
            pl.col("task_id").unique(),
        )
        .collect()
    )
    known = clusters or {}
    return {
        row["skill"]: SkillUseCount(
            row["offered"],
            row["loaded"],
            row["followed"],
            frozenset(known.get(task_id, task_id) for task_id in row["task_id"]),
        )
        for row in found.to_dicts()
    }


def to_retire(
    warrants: Sequence[WarrantRow], policy: Collection[str], *, library_digest: str
) -> tuple[WarrantRow, ...]:
    """Return whose skills a policy retires.

    Args:
        warrants: Those that hold.
        policy: States that are not kept.
        library_digest: Of the library as it is now.
    """
    gone = [row for row in warrants if row.state in policy and row.state != "harmless"]
    idle = [
        row
        for row in warrants
        if row.state == "harmless" and "harmless" in policy and row.library_digest == library_digest
    ]
    harmed = any(row.state == "harms" for row in gone)  # what does harm may hide what another does
    idle.sort(key=lambda row: (row.lift or 0.0, row.skill))
    return (*gone, *idle[: 0 if harmed else 1])


def retire(
    workspace: Workspace, ledger: Ledger, rows: Sequence[WarrantRow], *, run_key: str
) -> tuple[str, ...]:
    """Take skills out of the library by one commit, once; `skills rollback` brings them back.

    Returns:
        Their names.
    """
    if not rows:
        return ()
    step = f"{run_key}/retire"
    told = "; ".join(f"{row.skill} ({row.state}, {row.model})" for row in rows)
    with workspace.writing() as root:
        for row in rows:
            shutil.rmtree(root / "skills" / row.skill, ignore_errors=True)
        made = workspace.commit_evolution(None, f"Retire {told}", step=step)
    names = tuple(sorted(row.skill for row in rows))
    before, after = workspace.snapshot(made.before), workspace.snapshot(made.commit)
    retired = EvolutionRow(
        run_key=run_key,
        evo_number=made.number or 0,
        step="retire",
        agent_id=rows[0].agent_id,
        commit_before=before.commit,
        commit_after=made.commit,
        tree_before=before.tree,
        tree_after=after.tree,
        skills_removed=names,
        note=told,
        at=utc_now(),
    )
    ledger.append([retired], run_key=run_key)
    return names
