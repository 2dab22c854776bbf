"""A skill in the open Agent Skills format, read, checked and written back unharmed.

Grindstone's own `category` and `version` are strings below `metadata`, since the format
knows no such fields. Files that spell them at the top level are read too, and take the
open spelling the first time something in them changes. A skill whose fields did not
change is written back byte for byte.
"""

import re
from pathlib import Path
from typing import Self

from pydantic import Field, JsonValue

from grindstone.base import Frozen
from grindstone.digest import digest
from grindstone.skills import frontmatter
from grindstone.skills.frontmatter import SkillError

OWN_FIELDS = ("category", "version")
"""Kept below `metadata`; read at the top level as well."""

KNOWN = frozenset({"name", "description", "license", "allowed-tools", "metadata", "compatibility"})
"""The open format's fields."""


class Skill(Frozen):
    """One SKILL.md. `model_copy(update=…)` changes a field; `render` writes it back."""

    name: str
    description: str
    category: str = ""
    version: str = Field("1", description="A whole number, or numbers with dots.")
    body: str = Field("", description="Markdown below the head, with LF line endings.")
    license: str | None = None
    compatibility: str | None = None
    allowed_tools: str = Field("", description="Tool patterns, separated by spaces.")
    metadata: dict[str, str] = Field({}, description="Beside category and version.")
    source: str = Field("", repr=False, description="The file's text as it was read.")

    @property
    def digest(self) -> str:
        """SHA-256 of what the skill says; spelling and line endings do not count."""
        return digest(self.model_dump(mode="json", exclude={"source"}))

    def says_the_same(self, other: Self) -> bool:
        """Whether both say the same, the version apart."""
        apart = {"source", "version"}
        return self.model_dump(exclude=apart) == other.model_dump(exclude=apart)


def read_skill(path: Path, where: str = "") -> Skill:
    """Return the skill of a SKILL.md file.

    Raises:
        SkillError: There is no such file, or it is no skill.
    """
    name = where or str(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SkillError(name, f"cannot be read ({error.strerror})", "a SKILL.md file") from error
    return parse_skill(content, where=name)


def parse_skill(text: str | bytes, *, where: str = "SKILL.md") -> Skill:
    """Return the skill a SKILL.md's content spells.

    Args:
        text: The content; bytes are UTF-8.
        where: Named in errors.

    Raises:
        SkillError: No head, no YAML, no name, or no description.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise SkillError(where, f"is not UTF-8 at byte {error.start}", "UTF-8") from error
    parts = frontmatter.split(text, where)
    fields = frontmatter.load(parts.yaml, where)
    inner = fields.get("metadata") or {}
    if not isinstance(inner, dict):
        raise SkillError(f"{where}: metadata", "is not a mapping", "`key: value` lines")
    metadata = {str(key): str(value) for key, value in inner.items()}
    own = {
        field: metadata.pop(field, "").strip() or _text(fields, field, where)
        for field in OWN_FIELDS
    }
    return Skill(
        name=_required(fields, "name", where),
        description=_required(fields, "description", where),
        category=own["category"],
        version=own["version"] or "1",
        body=_plain(parts.body),
        license=_text(fields, "license", where) or None,
        compatibility=_text(fields, "compatibility", where) or None,
        allowed_tools=_joined(fields, "allowed-tools", where),
        metadata=metadata,
        source=text,
    )


def render(skill: Skill, *, with_version: bool = False) -> str:
    """Return the SKILL.md's text: as it was read when no field changed.

    Changed fields are set in place: other keys, comments and the file's line endings and
    byte order mark stay.

    Args:
        skill: The skill.
        with_version: Spell the version out where the text as it was read does not.
    """
    if not skill.source:
        return _fresh(skill)
    before = parse_skill(skill.source)
    parts = frontmatter.split(skill.source, skill.name)
    head, body = parts.head, parts.body
    raw = frontmatter.load(parts.yaml, skill.name)
    if before == skill and (_spells_version(raw) or not with_version):
        return skill.source
    wanted = _wanted(skill, before, raw)
    if wanted != raw:
        yaml = frontmatter.edit(_lf(parts.yaml), wanted)
        head = head.replace(parts.yaml, yaml.replace("\n", parts.newline), 1)
    if skill.body != before.body:
        blank = "" if head.endswith(parts.newline * 2) else parts.newline
        body = blank + (skill.body.rstrip("\n") + "\n").replace("\n", parts.newline)
    return head + body


def raise_version(old: Skill, new: Skill, *, files_changed: bool = False) -> Skill:
    """Return `new` with a version above `old`'s where it says something else.

    A version its author raised already is kept; where nothing changed, the old version is.

    Args:
        old: The skill before.
        new: The skill after.
        files_changed: Whether files beside SKILL.md changed.
    """
    if old.says_the_same(new) and not files_changed:
        return (
            new if new.version == old.version else new.model_copy(update={"version": old.version})
        )
    if _order(new.version) > _order(old.version):
        return new
    return new.model_copy(update={"version": next_version(old.version)})


def next_version(version: str) -> str:
    """Return the version with its last number raised by one; '2' where there is none."""
    numbers = list(re.finditer(r"\d+", version))
    if not numbers:
        return "2"
    last = numbers[-1]
    return f"{version[: last.start()]}{int(last.group()) + 1}{version[last.end() :]}"


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _own(skill: Skill) -> dict[str, str]:
    own = {"category": skill.category, "version": skill.version}
    return own if skill.category else {"version": skill.version}


def _spells_version(raw: dict[str, JsonValue]) -> bool:
    inner = raw.get("metadata")
    return "version" in raw or (isinstance(inner, dict) and "version" in inner)


def _fields(skill: Skill) -> dict[str, JsonValue]:
    """The head's mapping in the open spelling."""
    fields: dict[str, JsonValue] = {"name": skill.name, "description": skill.description}
    if skill.license:
        fields["license"] = skill.license
    if skill.compatibility:
        fields["compatibility"] = skill.compatibility
    if skill.allowed_tools:
        fields["allowed-tools"] = skill.allowed_tools
    fields["metadata"] = {**_own(skill), **skill.metadata}
    return fields


def _wanted(skill: Skill, before: Skill, raw: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """The head's new mapping, in which an unchanged value is spelled as it was."""
    now, then = _fields(skill), _fields(before)
    inner, inner_then = skill.metadata, before.metadata
    raw_inner = raw.get("metadata")
    if not isinstance(raw_inner, dict):
        raw_inner = {}
    now["metadata"] = {
        **_own(skill),
        **{
            key: raw_inner.get(key, value) if inner_then.get(key) == value else value
            for key, value in inner.items()
        },
    }
    for key, value in now.items():
        if key != "metadata" and then.get(key) == value:
            now[key] = raw.get(key, value)
    unknown = {key: value for key, value in raw.items() if key not in {*KNOWN, *OWN_FIELDS}}
    return now | unknown


def _fresh(skill: Skill) -> str:
    body = skill.body.strip("\n")
    return f"---\n{frontmatter.dump_fresh(_fields(skill))}---\n" + (f"\n{body}\n" if body else "")


def _lf(text: str) -> str:
    return text.replace("\r\n", "\n")


def _plain(body: str) -> str:
    return _lf(body).rstrip("\n")


def _required(fields: dict[str, JsonValue], key: str, where: str) -> str:
    found = _text(fields, key, where)
    if not found:
        raise SkillError(f"{where}: {key}", "is missing or empty", "a text")
    return found


def _text(fields: dict[str, JsonValue], key: str, where: str) -> str:
    found = fields.get(key)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise SkillError(f"{where}: {key}", "is not a text", "a text")
    return found.strip()


def _joined(fields: dict[str, JsonValue], key: str, where: str) -> str:
    found = fields.get(key)
    if isinstance(found, list):
        return " ".join(str(item) for item in found)
    return _text(fields, key, where)
