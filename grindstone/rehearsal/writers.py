"""The small writers' parts: summaries, shortened skills, drafts and a task's own short guide."""

import re

from grindstone.observe.signals import LOOPS
from grindstone.prompts import template
from grindstone.rehearsal import memory, terminal
from grindstone.rehearsal.wire import ModelRequest, ScriptedAnswer, known_by

_NOTHING = "NOTHING"
_SPEAKER = re.compile(r"\n\n(?=(?:Agent|Environment): )")
_CALL = re.compile(r"\AAgent: .*?^calls bash\n  command: (.*)\Z", re.DOTALL | re.MULTILINE)
_LOADED = re.compile(r"\bload_skill\b|/skills/[\w-]+/SKILL\.md")
_MOST_DEMANDS = 8
_PROSE_CHARS = 160


def summary(asked: ModelRequest) -> ScriptedAnswer:
    """Return which commands were run and how they ended, so that none is run again."""
    told = asked.user_text
    lines = re.findall(r"^- ran [0-9a-f]{24} (?:ok|failed): .*$", told, re.MULTILINE)
    parts = _SPEAKER.split(told)
    for said, given in zip(parts, [*parts[1:], ""], strict=True):
        command = _command(said)
        if command is None:
            continue
        code = memory.exit_code(given)
        failed = code not in (None, 0) or given.startswith("Environment: error:")
        lines.append(memory.note(known_by("bash", {"command": command}), command, failed=failed))
    body = "\n".join(lines) or "- nothing was run yet"
    return ScriptedAnswer(f"Commands run so far, in order:\n{body}")


def _command(said: str) -> str | None:
    found = _CALL.match(said)
    if found:
        return found[1].rstrip("\n")
    return terminal.command_in(said.removeprefix("Agent: ")) or None


def distillation(asked: ModelRequest) -> ScriptedAnswer:
    """Return the given skill with long prose left out, or a draft from a success."""
    if _NOTHING in asked.system:
        return ScriptedAnswer(_draft(asked))
    found = re.search(r"^---\n.*?^---\n.*", asked.user_text, re.MULTILINE | re.DOTALL)
    return ScriptedAnswer(_shortened(found[0]) if found else _NOTHING)


def _shortened(skill: str) -> str:
    """Keep the head, headings, lists and commands; drop prose and blank lines in a row."""
    fenced = False
    kept: list[str] = []
    for line in skill.splitlines():
        fence = line.startswith("```")
        fenced ^= fence
        plain = re.match(r"#|---|\s*[-*] |\s*[\w-]+:|\d+\.", line)
        if fenced or fence or plain:
            kept.append(line)
        elif not line.strip() and kept and kept[-1].strip():
            kept.append("")
    return "\n".join(kept).rstrip() + "\n"


def _draft(asked: ModelRequest) -> str:
    """Return general habits that a plain success supports; NOTHING where a skill did the work."""
    text = asked.user_text
    category = _after(text, "Category") or "general"
    _, _, done = text.partition("## What the agent did")
    done = done.partition("## Existing skills")[0]
    name = f"{category}-basics"
    if _LOADED.search(done) or re.search(rf"^- {name}: ", text, re.MULTILINE):
        return _NOTHING
    return template("rehearsal", "draft", folder="phrases").substitute(name=name, category=category)


def task_skill(asked: ModelRequest) -> ScriptedAnswer:
    """Return a short guide for one task: its demands, the order to work in, what to check."""
    name = _after(asked.system, "name") or "task"
    category = _after(asked.system, "category") or "general"
    text = _section(asked.user_text, "The task's text") or asked.user_text
    observation = _section(asked.user_text, "What happened when it was tried")
    flat = " ".join(text.split())
    sentences = re.split(r"(?<=[.!?])\s+", flat)
    asks = [s for s in sentences if re.search(r"\b(must|write|every|each|leave|make)\b", s, re.I)]
    demands = "\n".join(f"- {line[:_PROSE_CHARS]}" for line in asks[:_MOST_DEMANDS])
    pitfalls = ["- Inputs are seldom as orderly as they look; read some of them first."]
    if re.search(rf"{re.escape(LOOPS)}(?!none)", observation):
        pitfalls.append("- A command that failed fails again; find its cause first.")
    if observation:
        pitfalls.append("- It was tried before and did not pass; look for a skill on this work.")
    about = re.sub(r"[:#\s]+", " ", sentences[0])[:_PROSE_CHARS].strip()
    return ScriptedAnswer(
        template("rehearsal", "task_skill", folder="phrases").substitute(
            name=name,
            category=category,
            about=about,
            pitfalls="\n".join(pitfalls),
            demands=demands or "- Read the task twice.",
        )
    )


def _after(text: str, label: str) -> str:
    found = re.search(rf"^\s*{label}:\s*(\S+)", text, re.MULTILINE)
    return found[1] if found else ""


def _section(text: str, title: str) -> str:
    _, found, rest = text.partition(f"## {title}\n")
    return re.split(r"^## ", rest, maxsplit=1, flags=re.MULTILINE)[0].strip() if found else ""
