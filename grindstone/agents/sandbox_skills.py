"""The skills an agent finds in its sandbox: the four places, a listing, a body."""

import base64
import shlex
from collections.abc import Sequence
from pathlib import PurePosixPath

from grindstone.agents.protocol import SkillCard
from grindstone.sandbox.protocol import Sandbox
from grindstone.skills import parse_skill
from grindstone.skills.frontmatter import SkillError

PLACES = (
    "/root/.agents/skills",
    "/root/.claude/skills",
    "/root/.codex/skills",
    "/root/.terminus/skills",
)
"""Where agents of different make look for skills; each skill is laid in all four."""

LOAD_CHARS = 200_000
"""Most characters of a skill that are read; far beyond the format's own limit."""

_HEAD_BYTES = 8_192  # a description is at most 1,024 characters
_LIST = f"""
for d in {" ".join(PLACES)}; do
  for f in "$d"/*/SKILL.md; do
    [ -f "$f" ] || continue
    printf '%s\\t%s\\n' "${{f%/SKILL.md}}" "$(head -c {_HEAD_BYTES} "$f" | base64 | tr -d '\\n')"
  done
done
"""


class SandboxSkills:
    """What is offered, and what else lies at the four places of a task's own."""

    def __init__(self, sandbox: Sandbox, offered: Sequence[SkillCard]) -> None:
        self._sandbox = sandbox
        self._offered = {card.name: card for card in offered}

    async def cards(self, timeout_s: float) -> tuple[SkillCard, ...]:
        """Return the offered skills first, then others found in the sandbox."""
        found = dict(self._offered)
        listing = await self._sandbox.exec(_LIST, timeout_s=timeout_s)
        for line in listing.output.splitlines():
            path, tab, head = line.partition("\t")
            name = PurePosixPath(path).name
            if tab and name not in found:
                found[name] = SkillCard(name=name, description=_description(head), path=path)
        return tuple(found.values())

    async def load(self, name: str, timeout_s: float) -> str | None:
        """Return a skill's SKILL.md and the names of its other files, None if there is none."""
        card = self._offered.get(name) or next(
            (card for card in await self.cards(timeout_s) if card.name == name), None
        )
        if card is None:
            return None
        folder = shlex.quote(card.path)
        run = await self._sandbox.exec(
            f"cat {folder}/SKILL.md && cd {folder} && echo && "
            "find . -type f ! -name SKILL.md | sort | sed 's#^\\./##' | "
            "{ mapfile -t names; "
            '[ "${#names[@]}" -eq 0 ] || '
            "{ printf 'Files beside it in %s:\\n' \"$PWD\"; printf '%s\\n' \"${names[@]}\"; }; }",
            timeout_s=timeout_s,
            max_output_bytes=LOAD_CHARS,
        )
        return run.output if run.exit_code == 0 else None


def _description(head: str) -> str:
    try:
        return parse_skill(base64.b64decode(head).decode(errors="replace")).description
    except (SkillError, ValueError):
        return "(no description)"  # a task's own skill may follow no format
