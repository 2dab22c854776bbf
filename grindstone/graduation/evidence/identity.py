"""Which agent it is that a level, an exam or a record speaks of: model, prompts, tools, skills."""

from collections.abc import Collection

from grindstone.base import Frozen
from grindstone.digest import digest
from grindstone.graduation.registry import Registry
from grindstone.graduation.rules.policy import UNAIDED, Policy
from grindstone.workspace.git import Repository


class AgentIdentity(Frozen):
    """An agent by what makes it; an empty part is not known."""

    model: str = ""
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


def identity_of(registry: Registry, agent_id: str, *, model: str = "") -> AgentIdentity:
    """Return what an agent is made of now.

    Args:
        registry: The home, where its workspace is, and its ledger.
        agent_id: The agent.
        model: The one it runs with; empty: that of its latest counted episode.
    """
    known = model or models_of(registry, registry.policy(agent_id), [agent_id]).get(agent_id, "")
    return AgentIdentity(model=known, **_workspace(registry, agent_id))


def identities_of(registry: Registry, agent_ids: Collection[str]) -> dict[str, AgentIdentity]:
    """Return the same of many agents, their models read in one pass per policy."""
    found: dict[str, AgentIdentity] = {}
    for policy, names in registry.by_policy(agent_ids):
        models = models_of(registry, policy, names)
        for name in names:
            found[name] = AgentIdentity(model=models.get(name, ""), **_workspace(registry, name))
    return found


def models_of(registry: Registry, policy: Policy, agent_ids: Collection[str]) -> dict[str, str]:
    """Return the model of each agent's latest counted episode, where one is named."""
    import polars as pl

    from grindstone.records import Episode

    played = ~(pl.col("rehearsal").fill_null(False) | pl.col("profile").is_in(UNAIDED))
    latest = (
        registry.ledger.scan(Episode)
        .filter(
            pl.col("agent_id").is_in(list(agent_ids))
            & pl.col("purpose").is_in([each.value for each in policy.purposes])
            & (pl.col("model") != "")
            & (pl.lit(policy.rehearsals) | played)
        )
        .group_by("agent_id")
        .agg(pl.col("model").sort_by("started_at", "episode_id").last())
        .collect()
    )
    return dict(latest.iter_rows())


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
