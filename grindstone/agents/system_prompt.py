"""Putting a solver's system prompt together from templates and the workspace."""

from collections.abc import Sequence

from grindstone.agents.profiles import Profile
from grindstone.agents.protocol import SkillCard
from grindstone.agents.tool_scripts import LISTED, PLACE, ToolScript
from grindstone.prompts import template


def build_system_prompt(
    base: str,
    memories: Sequence[str],
    skills: Sequence[SkillCard],
    profile: Profile,
    tools: Sequence[ToolScript] = (),
) -> str:
    """Return a solver's system prompt.

    Args:
        base: The workspace's own prompt; a leading `Role:` line of its own is dropped.
        memories: One sentence or paragraph each, oldest first.
        skills: What the agent is offered; only names, descriptions and folders are shown.
        profile: Decides which way of working is explained. One without a protocol
            reads no prompt and gets an empty one.
        tools: Scripts that were laid into its sandbox.
    """
    if not profile.protocol:
        return ""
    remembered = "\n".join(f"- {memory.strip()}" for memory in memories if memory.strip())
    cards = "\n".join(f"- {card.name}: {card.description} ({card.path})" for card in skills)
    return (
        template("agents", "system")
        .substitute(
            base=_without_role(base),
            protocol=template("agents", profile.protocol).substitute().strip(),
            memories=template("agents", "memories").substitute(memories=remembered)
            if remembered
            else "",
            tools=template("agents", "tools").substitute(place=PLACE, tools=_listing(tools))
            if tools
            else "",
            skills=template("agents", "skills").substitute(how=profile.how_to_load, skills=cards)
            if cards
            else "",
        )
        .strip()
        + "\n"
    )


def _listing(tools: Sequence[ToolScript]) -> str:
    lines = [f"- {tool.path}" + (f": {tool.summary}" if tool.summary else "") for tool in tools]
    more = len(lines) - LISTED
    return "\n".join(lines[:LISTED] + ([f"- … and {more} more"] if more > 0 else []))


def _without_role(base: str) -> str:
    first, _, rest = base.lstrip().partition("\n")
    return (rest if first.startswith("Role:") else base).strip()
