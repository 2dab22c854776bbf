"""Know-how folded into another skill: a reference file beside it, and a line that points there."""

import re

from grindstone.llm.rehearsal.knowledge import Entry

_POINTER = re.compile(r"^- (.+?): follow `(references/[a-z0-9-]+\.md)`", re.MULTILINE)
_VERSION = re.compile(r"(version:\s*[\"']?)(\d+)")


def reference(entry: Entry) -> str:
    """Return where know-how lies beside the skill it is folded into."""
    return f"references/{entry.skill}.md"


def folded(skill: str, entry: Entry) -> str | None:
    """Return a SKILL.md that also points to the know-how; None where it cannot or already does."""
    text = re.sub(r"\n\[exit[^\n]*\]\s*\Z", "\n", skill)
    head = re.match(r"---\n.*?^description: ([^\n]+)\n.*?^---\n", text, re.DOTALL | re.MULTILINE)
    if head is None or reference(entry) in text:
        return None
    also = entry.description[0].lower() + entry.description[1:]
    text = text.replace(head[1], f"{head[1].rstrip('.')}. Also {also}", 1)
    text = _VERSION.sub(lambda found: f"{found[1]}{int(found[2]) + 1}", text, count=1)
    pointer = f"- {entry.skill.replace('-', ' ')}: follow `{reference(entry)}`\n"
    if "\n## Other work\n" in text:
        return text.replace("\n## Other work\n", f"\n## Other work\n{pointer}", 1)
    return f"{text.rstrip()}\n\n## Other work\n{pointer}"


def pointers(skill: str) -> tuple[tuple[str, str], ...]:
    """Return (what for, file) of each reference a skill points to."""
    return tuple((found[1], found[2]) for found in _POINTER.finditer(skill))
