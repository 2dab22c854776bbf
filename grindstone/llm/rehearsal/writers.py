"""The small writers' parts: summaries, distilled skills and a task's own short guide."""

import re

from grindstone.llm.rehearsal import knowledge
from grindstone.llm.rehearsal.wire import Answer, Asked

_MOST_LINES = 60


def summary(asked: Asked) -> Answer:
    """Return the conversation's commands and how they ended, shortened."""
    lines = [line.strip() for line in asked.user_text.splitlines() if line.strip()]
    kept = [line[:200] for line in lines if re.search(r"exit|error|\$ |command", line, re.I)]
    body = "\n".join(f"- {line}" for line in kept[-_MOST_LINES:]) or "- nothing of note"
    return Answer(f"What happened so far:\n{body}")


def distillation(asked: Asked) -> Answer:
    """Return the given skill, with long prose left out; or a draft from a success."""
    text = asked.user_text
    found = re.search(r"^---\n.*?^---\n.*", text, re.M | re.S)
    if found:
        return Answer(_shortened(found[0]))
    wanted = knowledge.matching(text)
    return Answer(wanted[0].skill_md(1) if wanted else "Nothing general can be learnt from this.")


def _shortened(skill: str) -> str:
    fenced = False
    kept: list[str] = []
    for line in skill.splitlines():
        fence = line.startswith("```")
        fenced ^= fence
        plain = re.match(r"#|---|[-*] |\s*\w+:|\d+\.", line)
        if fenced or fence or plain:
            kept.append(line)
        elif not line.strip() and kept and kept[-1].strip():
            kept.append("")
    return "\n".join(kept).rstrip() + "\n"


def task_skill(asked: Asked) -> Answer:
    """Return a short guide for one task: its demands, and the order to work in."""
    sentences = re.split(r"(?<=[.!?])\s+|\n+", asked.user_text)
    asks = [s.strip("-*# ") for s in sentences if re.search(r"\b(must|write|every|each)\b", s)]
    demands = "\n".join(f"- {line[:160]}" for line in asks[:8]) or "- Read the instruction twice."
    return Answer(
        "## Approach\n1. Read the instruction and list what must exist at the end.\n"
        "2. Look at the real input before choosing a tool.\n"
        f"3. Check the result against each demand.\n\n## Demands\n{demands}\n"
    )
