"""Laying skills where the agents of a sandbox look for them."""

import asyncio
import io
import shlex
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from shutil import copytree

from grindstone.agents.protocol import SkillCard
from grindstone.agents.sandbox_skills import PLACES
from grindstone.errors import Cause, InfrastructureError, InputError
from grindstone.sandbox.protocol import Sandbox
from grindstone.skills import read_skill

TIMEOUT_S = 120.0

_NO_TAR = 90
_STRIP = 'if [ -d "$d" ]; then find "$d/" -mindepth 1 -delete || exit 1; fi; '
# A place may be a link the image brought, even one that leads nowhere.
_PREPARE = 'if [ -L "$d" ] && [ ! -d "$d" ]; then rm -f "$d"; fi; mkdir -p "$d" || exit 1; '
_UNPACK = 'tar -xpf "$t" -C "$d" --no-same-owner || exit 1; '


async def inject_skills(
    sandbox: Sandbox, folders: Mapping[str, Path], *, strip_existing: bool = False
) -> tuple[SkillCard, ...]:
    """Copy skill folders, scripts and references included, to the four places, whole.

    Files a task's image has at those places stay, except where a skill of the same name
    has the same file.

    Args:
        sandbox: Where to.
        folders: Skill name → its folder on the host, holding a SKILL.md.
        strip_existing: First remove every skill the image has at those places, so that an
            arm without skills is without them.

    Returns:
        A card per skill, sorted by name.

    Raises:
        InputError: A folder holds no SKILL.md, or one that cannot be read.
        InfrastructureError: SANDBOX_IO, when they could not be laid.
    """
    cards = tuple([await asyncio.to_thread(_card, name, folders[name]) for name in sorted(folders)])
    if not cards and not strip_existing:
        return ()
    archive = await asyncio.to_thread(_archive, folders)
    run = await sandbox.exec(
        _script(bool(cards), strip_existing), timeout_s=TIMEOUT_S, stdin=archive
    )
    if run.exit_code == _NO_TAR:
        await _copy_one_by_one(sandbox, folders)
    elif run.exit_code != 0:
        raise InfrastructureError(
            Cause.SANDBOX_IO, f"skills could not be laid: {run.output[-500:]}"
        )
    return cards


def _script(lay: bool, strip: bool) -> str:
    places = " ".join(map(shlex.quote, PLACES))
    each = (_STRIP if strip else "") + (_PREPARE if lay else "")
    script = f"for d in {places}; do {each}done; "
    if lay:
        script += (
            f"command -v tar >/dev/null || exit {_NO_TAR}; "
            't=$(mktemp) && cat > "$t" || exit 1; '
            f'for d in {places}; do {_UNPACK}done; rm -f "$t"'
        )
    return script


def _card(name: str, folder: Path) -> SkillCard:
    if not name or name in {".", ".."} or "/" in name:
        raise InputError(f"skill {name!r}", "is no folder name", "a name without slashes")
    skill = read_skill(folder / "SKILL.md")
    return SkillCard(name=name, description=skill.description, path=f"{PLACES[0]}/{name}")


def _archive(folders: Mapping[str, Path]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(folders):
            archive.add(folders[name].resolve(), arcname=name, filter=_as_root)
    return buffer.getvalue()


def _as_root(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if not (member.isfile() or member.isdir() or member.issym()):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


async def _copy_one_by_one(sandbox: Sandbox, folders: Mapping[str, Path]) -> None:
    with tempfile.TemporaryDirectory(prefix="grindstone-skills-") as temporary:
        staged = Path(temporary)
        for name, folder in folders.items():
            await asyncio.to_thread(copytree, folder, staged / name, symlinks=True)
        for place in PLACES:
            await sandbox.copy_in(staged, place)
