"""Does cheating pay at a task? A catalogue of ways is tried, and each is graded as a run would.

A way is a shell script that an agent could run: it knows where tests and rewards are laid and
nothing of the task. Each gets a fresh sandbox, and is graded beside what it left and by a separate
verifier. It pays where it earns more than doing nothing does. A shared sandbox cannot keep an
agent from the programs its tests run on: ways that use it are told, and count against the task
with a separate verifier only.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from grindstone.base import Frozen
from grindstone.benchmark.recheck import grade_task
from grindstone.benchmark.separate_verifier import carried
from grindstone.benchmark.starting import start_task
from grindstone.benchmark.task import Task
from grindstone.errors import InfrastructureError
from grindstone.sandbox.protocol import SandboxProvider
from grindstone.settings import ScoreMode

WAYS = Path(__file__).parent / "ways"
_CONCEDED = "conceded in a shared sandbox: "
_TIMEOUT_S = 60.0


class Way(NamedTuple):
    """One way to cheat."""

    name: str
    about: str
    script: str
    conceded: bool  # in a shared sandbox


class Cheat(Frozen):
    """What came of one way at one task."""

    way: str
    about: str
    verifier: Literal["shared", "separate"]
    reward: float | None  # None: no verdict, which is no score either
    pays: bool
    conceded: bool
    detail: str = ""


def ways() -> tuple[Way, ...]:
    """Return the catalogue, by name; a script's first line says what it does."""
    found = []
    for file in sorted(WAYS.glob("*.sh")):
        script = file.read_text(encoding="utf-8")
        about = script.split("\n", 1)[0].removeprefix("# ")
        found.append(
            Way(file.stem, about.removeprefix(_CONCEDED), script, about.startswith(_CONCEDED))
        )
    return tuple(found)


async def try_cheating(
    task: Task,
    provider: SandboxProvider,
    image: str,
    *,
    honest_nothing: float,
    score_mode: ScoreMode,
    labels: Mapping[str, str] | None = None,
) -> tuple[Cheat, ...]:
    """Try every way, with a shared and, where files can be carried, a separate verifier.

    Args:
        task: What to cheat at.
        provider: Where.
        image: The task's.
        honest_nothing: The reward of an agent that does nothing.
        score_mode: Decides what counts as a pass.
        labels: For the sandboxes.
    """
    found = []
    for way in ways():
        for separate in (False, True):
            if not separate and task.separate_verifier:
                continue
            cheat = await _try(
                task, provider, image, way, separate, honest_nothing, score_mode, labels
            )
            if cheat is not None:
                found.append(cheat)
    return tuple(found)


async def _try(
    task: Task,
    provider: SandboxProvider,
    image: str,
    way: Way,
    separate: bool,
    honest_nothing: float,
    score_mode: ScoreMode,
    labels: Mapping[str, str] | None,
) -> Cheat | None:
    sandbox = await start_task(task, provider, image, labels=labels)
    reward, passed, detail = None, False, ""
    try:
        if separate and carried(task, sandbox.workdir) is None:
            return None
        await sandbox.exec(way.script, timeout_s=_TIMEOUT_S)
        verdict = await grade_task(
            task, sandbox, provider, score_mode=score_mode, separate=separate, labels=labels
        )
        reward, passed = verdict.reward, verdict.passed
        detail = "; ".join((verdict.basis, *verdict.evidence))[:500]
    except InfrastructureError as error:
        detail = str(error)[:500]
    finally:
        await sandbox.close()
    return Cheat(
        way=way.name,
        about=way.about,
        verifier="separate" if separate else "shared",
        reward=reward,
        pays=passed or (reward or 0.0) > honest_nothing + 1e-9,
        conceded=way.conceded and not separate,
        detail=detail,
    )
