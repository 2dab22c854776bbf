"""The skills of the home's agents, and one of them: text, history, use and effect."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from grindstone.errors import InputError
from grindstone.evolve.warrants import latest_warrants, why_lapsed
from grindstone.ledger import Ledger, queries
from grindstone.ledger.tables.attempts import SkillUseRow
from grindstone.ledger.tables.runs import SkillRow
from grindstone.records import Episode
from grindstone.report.model import SkillEffect
from grindstone.skills.library import SKILL_FILE, task_folder_name
from grindstone.view.documents import (
    AgentSkills,
    ListedSkill,
    SkillDocument,
    SkillsDocument,
    SkillVersion,
    TaskUse,
)
from grindstone.view.runs import attempt_lines
from grindstone.workspace import Workspace
from grindstone.workspace.errors import WorkspaceError
from grindstone.workspace.history import EvolutionRef, refs_of

if TYPE_CHECKING:
    import polars as pl

SHOWN = 200
"""Attempts that a skill's page lists, the latest; its counts are of all."""


def skills_document(
    ledger: Ledger, only: Mapping[str, Collection[str]] | None = None
) -> SkillsDocument:
    """Return what every agent knows and knew, with what each skill is seen to do.

    Args:
        ledger: The home's.
        only: The skills to list by their agents, no other skill or agent; None: all.
    """
    if only is None:
        agents = [_agent(ledger, agent_id) for agent_id in ledger.home.agents()]
    else:
        asked = [agent_id for agent_id in ledger.home.agents() if agent_id in only]
        agents = [_listed(_agent(ledger, agent_id), only[agent_id]) for agent_id in asked]
    return SkillsDocument(agents=tuple(agents))


def skill_document(ledger: Ledger, agent_id: str, name: str) -> SkillDocument:
    """Return one skill of an agent, a general one or a task's own; it may be gone by now.

    Raises:
        InputError: The agent has no workspace, or never had such a skill.
    """
    import polars as pl

    if agent_id not in ledger.home.agents():
        raise InputError(agent_id, "is no agent of this home", "an agent with a workspace")
    unknown = InputError(name, f"is no skill that {agent_id} ever had", "a skill a page links to")
    if "/" in name or name in ("", ".", ".."):
        raise unknown
    workspace = Workspace.reading(ledger.home.workspace(agent_id))
    places = {"general": f"skills/{name}", "task": f"task_skills/{task_folder_name(name)}"}
    histories = {scope: _versions(workspace, path) for scope, path in places.items()}
    scope = next((scope for scope, found in histories.items() if found), None)
    if scope is None:
        raise unknown
    versions = histories[scope]
    present, text = _text(workspace, places[scope], versions)
    uses = ledger.scan(SkillUseRow).filter(pl.col("skill") == name, pl.col("scope") == scope)
    episodes = ledger.scan(Episode).filter(pl.col("agent_id") == agent_id)
    effects = _effects(episodes, uses)
    warrant = latest_warrants(ledger, agent_id).get(name) if scope == "general" else None
    library = workspace.library
    digest = library.digest(name) if present and scope == "general" else ""
    read = uses.filter("loaded").select("episode_id")
    attempts = episodes.join(read, on="episode_id", how="semi").sort("started_at").tail(SHOWN)
    taught = [
        row
        for row in ledger.rows(SkillRow)
        if row.agent_id == agent_id and name in (row.skill, row.task_id)
    ]
    return SkillDocument(
        agent_id=agent_id,
        skill=name,
        scope=scope,
        present=present,
        text=text,
        versions=versions,
        effect=effects[0] if effects else None,
        warrant=warrant,
        lapsed=""
        if warrant is None
        else why_lapsed(warrant, skill_digest=digest, model=warrant.model),
        taught=tuple(sorted(taught, key=lambda row: (row.evo_number, row.run_key))),
        tasks=_by_task(episodes, uses),
        attempts=attempt_lines(ledger, attempts),
    )


def _agent(ledger: Ledger, agent_id: str) -> AgentSkills:
    import polars as pl

    library = Workspace.reading(ledger.home.workspace(agent_id)).library
    listing = library.load()
    warrants = latest_warrants(ledger, agent_id)
    episodes = ledger.scan(Episode).filter(pl.col("agent_id") == agent_id)
    uses = ledger.scan(SkillUseRow).filter(pl.col("scope") == "general")
    effects = {effect.skill: effect for effect in _effects(episodes, uses)}
    known = {skill.name: skill for skill in listing.skills}
    gone = {
        row.skill
        for row in ledger.rows(SkillRow)
        if row.agent_id == agent_id and row.scope == "general"
    } - set(known)
    lines = [
        ListedSkill(
            skill=name,
            present=name in known,
            version=str(known[name].version or "") if name in known else "",
            category=(known[name].category or "") if name in known else "",
            description=known[name].description if name in known else "",
            warrant=warrants[name].state if name in warrants else "",
            effect=effects.get(name),
        )
        for name in sorted(known.keys() | gone | effects.keys())
    ]
    broken = tuple(f"{each.folder}: {each.problem}" for each in listing.broken)
    return AgentSkills(agent_id=agent_id, skills=tuple(lines), broken=broken)


def _listed(agent: AgentSkills, names: Collection[str]) -> AgentSkills:
    kept = tuple(each for each in agent.skills if each.skill in names)
    return agent.model_copy(update={"skills": kept, "broken": ()})


def _effects(episodes: "pl.LazyFrame", uses: "pl.LazyFrame") -> list[SkillEffect]:
    rows: list[dict[str, Any]] = queries.skill_effects(episodes, uses).collect().to_dicts()
    return [SkillEffect.model_validate(row) for row in rows]


def _by_task(episodes: "pl.LazyFrame", uses: "pl.LazyFrame") -> tuple[TaskUse, ...]:
    import polars as pl

    passed = queries.PASSED & pl.col("loaded")
    rows = (
        episodes.select("episode_id", "task_id", "outcome")
        .join(uses, on="episode_id")
        .group_by("task_id")
        .agg(
            pl.col("offered").sum(),
            pl.col("loaded").sum(),
            pl.col("followed").sum(),
            passed.sum().alias("loaded_and_passed"),
        )
        .sort("task_id")
        .collect()
        .to_dicts()
    )
    return tuple(TaskUse.model_validate(row) for row in rows)


def _versions(workspace: Workspace, path: str) -> tuple[SkillVersion, ...]:
    repository = workspace.repository
    commits = repository.log(path=path)
    return tuple(
        SkillVersion(change=ref, diff=_diff(workspace, ref, path))
        for ref in refs_of(repository, commits)
    )


def _diff(workspace: Workspace, ref: EvolutionRef, path: str) -> str:
    options = ("--no-color", "--format=", "--root")
    return workspace.repository.run("show", *options, ref.commit, "--", f":(literal){path}")


def _text(workspace: Workspace, path: str, versions: tuple[SkillVersion, ...]) -> tuple[bool, str]:
    """Return whether the skill is there now, and its text as it is or last was."""
    file = f"{path}/{SKILL_FILE}"
    ends = [("HEAD", True)]
    if versions and versions[0].change.before:
        ends.append((versions[0].change.before, False))
    for commit, present in ends:
        try:
            return present, workspace.repository.run("show", f"{commit}:{file}")
        except WorkspaceError:
            continue
    return False, ""
