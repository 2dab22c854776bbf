"""Agents that know something."""

from pathlib import Path

from grindstone.resources import bundled
from grindstone.workspace import Workspace


def agent(home: Path, agent_id: str, skill: str = "") -> Workspace:
    """Return a new agent's workspace, with the rehearsal's skill of one category laid into it."""
    from grindstone.rehearsal.knowledge import entries

    made = Workspace.create(
        home / "agents" / agent_id / "workspace", bundled("seed_workspaces/skillbench")
    )
    if skill:
        entry = next(entry for entry in entries() if entry.category == skill)
        with made.writing() as root:
            folder = root / "skills" / entry.skill
            folder.mkdir()
            (folder / "SKILL.md").write_text(entry.skill_md(1))
            made.commit(f"Learn {skill}")
    return made
