"""Reading skills as a simple agent does: which fit the instruction, what they tell to run."""

import re
from typing import NamedTuple

from grindstone.rehearsal import folding
from grindstone.rehearsal.brief import TaskBrief
from grindstone.rehearsal.words import stems

_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```\s*$", re.DOTALL | re.MULTILINE)
_HEADING = re.compile(r"^(#{1,3})[ \t]+(.+?)[ \t]*$", re.MULTILINE)
_PLACEHOLDER = re.compile(r"(?<![$\w{])\{([a-z][a-z_]{0,30})\}(?!\})")
_FOLDER = re.compile(r"\s*\(/\S+\)\s*$")  # told behind a description, no part of it
_USUAL = frozenset({"input", "inputs", "output"})
_VALUE_RULE = re.compile(r"^[-*]\s+`?\{([a-z_]+)\}`?.*?`([^`]*\([^`]*\)[^`]*)`", re.MULTILINE)
_LEAST_OVERLAP = 3
_MOST_LOADED = 3


class Card(NamedTuple):
    """A skill on offer."""

    name: str
    description: str


class Guide(NamedTuple):
    """What a loaded skill tells to do."""

    steps: tuple[str, ...]
    fallback: tuple[str, ...]
    verification: tuple[str, ...]


def cards_in_prompt(system: str) -> tuple[Card, ...]:
    """Return the skills a prompt lists as `- name: description`, bold or quoted names too."""
    cards: list[Card] = []
    listing = re.compile(
        r"^\s*[-*]\s+[*`]*([a-z0-9]+(?:-[a-z0-9]+)*)[*`]*\s*(?::|\u2014|\u2013|-)\s+(\S.*)$"
    )
    inside = False
    for line in system.splitlines():
        if re.match(r"#{1,4}\s|<\w*skill\w*>|[A-Z].*:$", line):
            inside = "skill" in line.lower()
        found = listing.match(line)
        if inside and found:
            cards.append(Card(found[1], _FOLDER.sub("", found[2])))
    return tuple(cards)


def cards_in_listing(text: str) -> tuple[Card, ...]:
    """Return the skills in a tool's listing, or in the heads of several SKILL.md files."""
    cards = {card.name: card for card in cards_in_prompt("# skills\n" + text)}
    names = list(re.finditer(r"^\s*(?:\"?name\"?):\s*\"?([a-z0-9-]+)\"?,?\s*$", text, re.MULTILINE))
    for index, found in enumerate(names):
        end = names[index + 1].start() if index + 1 < len(names) else len(text)
        rest = re.search(
            r"^\s*\"?description\"?:\s*(?:[>|][+-]?\s*\n)?(.+?)(?=^\S|^\s*[\w\"]+:|\Z)",
            text[found.end() : end],
            re.DOTALL | re.MULTILINE,
        )
        words = " ".join(rest[1].split()) if rest else ""
        cards.setdefault(found[1], Card(found[1], words))
    return tuple(cards.values())


def chosen(cards: tuple[Card, ...], brief: TaskBrief) -> tuple[Card, ...]:
    """Return the skills worth loading, the best match first."""
    wanted = stems(brief.text)
    scored = [
        (len(stems(card.description) & wanted) + len(stems(card.name) & wanted), card)
        for card in cards
    ]
    fitting = [pair for pair in scored if pair[0] >= _LEAST_OVERLAP]
    fitting.sort(key=lambda pair: (-pair[0], pair[1].name))
    return tuple(card for _, card in fitting[:_MOST_LOADED])


def fitting_reference(body: str, brief: TaskBrief) -> str | None:
    """Return the file an index of references names for work like this, if it names any."""
    wanted = stems(brief.text)
    fits = [(len(stems(about) & wanted), file) for about, file in folding.pointers(body)]
    best, file = max(fits, default=(0, ""))
    return file if best else None


def _sections(body: str) -> dict[str, str]:
    """Return the text below each heading, sub-headings' included, by lower-case title."""
    plain = _FENCE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), body)
    heads = list(_HEADING.finditer(plain))
    sections: dict[str, str] = {}
    for index, head in enumerate(heads):
        later = (h.start() for h in heads[index + 1 :] if len(h[1]) <= len(head[1]))
        end = next(later, len(body))
        sections.setdefault(head[2].lower().strip(": "), body[head.end() : end])
    return sections


def _blocks(text: str) -> tuple[str, ...]:
    return tuple(
        found[2].strip("\n")
        for found in _FENCE.finditer(text)
        if found[1] in ("bash", "sh", "shell") and found[2].strip()
    )


def open_guide(body: str, brief: TaskBrief) -> Guide:
    """Return the skill's commands with their placeholders filled; unfillable ones left out."""
    sections = _sections(body)
    values = brief.values() | _asked_values(body, brief)
    needed = _USUAL | {found[1] for found in _VALUE_RULE.finditer(body)}

    def commands(*titles: str) -> tuple[str, ...]:
        text = "\n".join(part for title, part in sections.items() if title.startswith(titles))
        filled = (_fill(block, values, needed) for block in _blocks(text))
        return tuple(command for command in filled if command is not None)

    return Guide(
        steps=commands("steps", "workflow"),
        fallback=commands("fallback", "if it fails", "troubleshooting"),
        verification=commands("verification", "verify"),
    )


def _asked_values(body: str, brief: TaskBrief) -> dict[str, str]:
    """Return the placeholders a skill explains by a pattern, found in the instruction."""
    values: dict[str, str] = {}
    for found in _VALUE_RULE.finditer(body):
        try:
            pattern = re.compile(found[2], re.IGNORECASE)
        except re.error:
            continue
        hit = pattern.search(" ".join(brief.text.split()))
        if hit and pattern.groups:
            values[found[1]] = hit[1].strip()
    return values


def _fill(command: str, values: dict[str, str], needed: frozenset[str]) -> str | None:
    """Return the command with its placeholders filled; None when a needed one is unknown."""
    if any(name in needed and name not in values for name in _PLACEHOLDER.findall(command)):
        return None
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), command)
