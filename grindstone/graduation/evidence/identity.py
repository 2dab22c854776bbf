"""Which agent a level, an exam or a record speaks of: model, program, prompts, tools, skills."""

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from grindstone.agents.profiles import Profile
from grindstone.base import Frozen
from grindstone.digest import digest
from grindstone.graduation.registry import Registry
from grindstone.graduation.rules.policy import UNAIDED, Policy
from grindstone.workspace.git import Repository

if TYPE_CHECKING:
    import polars as pl


class AgentIdentity(Frozen):
    """An agent by what makes it; an empty part is not known."""

    model: str = ""
    program: str = ""  # whose loop it is: see `program_of`
    prompts: str = ""  # digest of the workspace's prompts/
    tools: str = ""  # likewise
    skills: str = ""  # likewise
    workspace_tree: str = ""

    def differs(self, other: "AgentIdentity", parts: Collection[str]) -> tuple[str, ...]:
        """Return which parts are known of both and not the same."""
        mine, theirs = self.model_dump(), other.model_dump()
        return tuple(
            part for part in parts if mine[part] and theirs[part] and mine[part] != theirs[part]
        )


class Runs(NamedTuple):
    """What an agent runs with; empty: not known."""

    model: str = ""
    program: str = ""


OWN_LOOP = "one of Grindstone's loops"


def program_of(profile: str) -> str:
    """Return whose loop an episode's profile names; empty where it is not known or no agent's.

    A program of others is named with its version and the digest of its file. Ours are one.
    """
    kind = profile.partition(" ")[0]
    if kind in (Profile.COMMAND, Profile.CODE):
        return profile
    known = kind in tuple(Profile) and Profile(kind).aided
    return OWN_LOOP if known else ""


def identity_of(
    registry: Registry, agent_id: str, *, model: str = "", program: str = ""
) -> AgentIdentity:
    """Return what an agent is made of now.

    Args:
        registry: The home, where its workspace is, and its ledger.
        agent_id: The agent.
        model: The one it runs with; empty: that of its latest counted episode.
        program: Likewise.
    """
    latest = runs_of(registry, registry.policy(agent_id), [agent_id]).get(agent_id, Runs())
    return AgentIdentity(
        model=model or latest.model,
        program=program or latest.program,
        **_workspace(registry, agent_id),
    )


def identities_of(registry: Registry, agent_ids: Collection[str]) -> dict[str, AgentIdentity]:
    """Return the same of many agents, what they run with read in one pass per policy."""
    found: dict[str, AgentIdentity] = {}
    for policy, names in registry.by_policy(agent_ids):
        runs = runs_of(registry, policy, names)
        for name in names:
            known = runs.get(name, Runs())._asdict()
            found[name] = AgentIdentity(**known, **_workspace(registry, name))
    return found


def runs_of(registry: Registry, policy: Policy, agent_ids: Collection[str]) -> dict[str, Runs]:
    """Return what each agent ran with in its latest counted episode that names a model."""
    import polars as pl

    from grindstone.records import Episode

    order = ("started_at", "episode_id")
    told = pl.col("profile").fill_null("") != ""
    profile = pl.col("profile").filter(told)
    latest = (
        registry.ledger.scan(Episode)
        .filter(_names_a_model(policy, agent_ids))
        .group_by("agent_id")
        .agg(
            pl.col("model").sort_by(*order).last(),
            profile.sort_by(*(pl.col(name).filter(told) for name in order)).last(),
        )
        .collect()
    )
    return {name: Runs(model, program_of(how or "")) for name, model, how in latest.iter_rows()}


def first_runs(registry: Registry, policy: Policy, agent_id: str, since: datetime) -> Runs:
    """Return what an agent ran with in its first counted episode since a time that tells it."""
    import polars as pl

    from grindstone.records import Episode

    rows = (
        registry.ledger.scan(Episode)
        .filter(_names_a_model(policy, [agent_id]) & (pl.col("started_at") >= since))
        .sort("started_at", "episode_id")
        .head(1)
        .select("model", pl.col("profile").fill_null(""))
        .collect()
        .rows()
    )
    return Runs(rows[0][0], program_of(rows[0][1])) if rows else Runs()


def _names_a_model(policy: Policy, agent_ids: Collection[str]) -> "pl.Expr":
    """Return which episodes count and name the model they were done with."""
    import polars as pl

    played = ~(pl.col("rehearsal").fill_null(False) | pl.col("profile").is_in(UNAIDED))
    return (
        pl.col("agent_id").is_in(list(agent_ids))
        & pl.col("purpose").is_in([each.value for each in policy.purposes])
        & (pl.col("model") != "")
        & (pl.lit(policy.rehearsals) | played)
    )


def _workspace(registry: Registry, agent_id: str) -> dict[str, str]:
    folder = registry.home.workspace(agent_id)
    if not (folder / ".git").exists():
        return {}
    repository = Repository(folder)
    files = repository.entries("HEAD")
    parts = {
        part: digest(
            {path: entry.blob for path, entry in files.items() if path.startswith(f"{part}/")}
        )
        for part in ("prompts", "tools", "skills")
    }
    return parts | {"workspace_tree": repository.tree_of("HEAD")}
