"""What Harbor's agents cannot be told of ours is refused by name, before one of them is paid."""

import re
from collections.abc import Mapping

from grindstone.agents.harbor import harbor_agent
from grindstone.agents.profiles import Profile
from grindstone.errors import InputError
from grindstone.resources import bundled
from grindstone.workspace.files import WorkspaceFiles

STARTERS = ("skillbench", "terminal")
"""The bundled seed workspaces; their prompts are about protocols that Harbor's agent has not."""

USUAL_STEPS, USUAL_TOKENS = 100, 16_384
"""Of an attempt and of an answer, where nobody asks for others."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")


def harbors_agent(
    native_profile: Profile | str | None, agent: str | None, given: Mapping[str, object]
) -> tuple[str, Profile]:
    """Return Harbor's name of the agent that works, and the profile it comes to.

    Args:
        native_profile: One of ours that Harbor has too.
        agent: Harbor's name of one.
        given: What else was given to say who works, by name.

    Raises:
        InputError: Harbor has no such agent, or something else is to work, which it has not.
    """
    found = [
        InputError(name, "is not for Harbor, which runs its own agents", "agent, by Harbor's name")
        for name, value in given.items()
        if value is not None
    ]
    if agent is not None and native_profile is not None:
        found.append(InputError("native_profile", f"is given with agent {agent}", "one of them"))
    if agent is not None and not _NAME.fullmatch(agent):
        found.append(InputError("agent", f"is {agent!r}", "Harbor's name of one, as claude-code"))
    if found:
        raise InputError.together(found)
    if agent is not None:
        return agent, Profile.COMMAND
    try:
        profile = Profile(native_profile or Profile.TERMINUS2)
    except ValueError:
        raise InputError("native_profile", f"is {native_profile!r}", ", ".join(Profile)) from None
    return harbor_agent(profile), profile


def limits_for(
    agent: str, max_steps: int, max_tokens: int, region: str | None
) -> dict[str, int | str | None]:
    """Return the limits that Harbor's agent is told: Terminus 2 alone takes them.

    Args:
        agent: Harbor's name of it.
        max_steps: Of an attempt.
        max_tokens: Output tokens of one answer.
        region: Of Bedrock and Vertex.

    Raises:
        InputError: Another agent would not keep what was asked for.
    """
    if agent == Profile.TERMINUS2.harbor:
        return {"max_steps": max_steps, "max_tokens": max_tokens, "region": region}
    asked = {
        "max_steps": max_steps != USUAL_STEPS,
        "max_tokens": max_tokens != USUAL_TOKENS,
        "region": region is not None,
    }
    found = [
        InputError(name, f"Harbor's agent {agent} is not told of it", "none given, or terminus-2")
        for name, differs in asked.items()
        if differs
    ]
    if found:
        raise InputError.together(found)
    return {}


def require_skills_alone(files: WorkspaceFiles) -> None:
    """Make sure that a workspace tells its agent nothing that Harbor's agent would not be told.

    Raises:
        InputError: It has a prompt other than the starters', memories or scripts.
    """
    starters = {
        WorkspaceFiles(bundled(f"seed_workspaces/{name}")).system_prompt() for name in STARTERS
    }
    lost = {
        f"the system prompt {files.manifest.system_prompt}": files.system_prompt() not in starters,
        "memory/": bool(files.memories()),
        "tools/": bool(files.tools()),
    }
    found = [
        InputError("execution_mode", f"Harbor's agent would not be told {part}", "native")
        for part, there in lost.items()
        if there
    ]
    if found:
        raise InputError.together(found)
