"""Agents that know something."""

from pathlib import Path

from support import black_box

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


def black_box_agent(folder: Path) -> Path:
    """Return the file of an agent that is a program of its own; it needs Python alone."""
    path = folder / "agent.yaml"
    program = Path(black_box.__file__).read_text("utf-8").replace("\n", "\n    ")
    path.write_text(
        f"""
name: black-box
command: python3 /root/.agent/agent.py
env:
  ANTHROPIC_BASE_URL: "{{base_url}}"
  ANTHROPIC_API_KEY: "{{token}}"
  ANTHROPIC_MODEL: "{{model}}"
  SYSTEM_FILE: "{{system_file}}"
  INSTRUCTION_FILE: "{{instruction_file}}"
files:
  /root/.agent/agent.py: |
    {program}
tools:
  bash: {{name: bash, argument: command}}
"""
    )
    return path
