"""What a right answer to a task is: what its solution leaves and prints, and what its tests say.

The tests' source does not tell where they compute what they expect. So the solution is run
once, in a sandbox of its own, and the tests are run there and on an untouched sandbox. What is
learned is kept on disk by the task's digest, for the leak guard alone: nobody else reads it.
"""

import asyncio
import base64
import binascii
import gzip
import io
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from grindstone.base import Frozen
from grindstone.benchmark.checking import run_solution
from grindstone.benchmark.environ import passed_names
from grindstone.benchmark.environment import build_spec
from grindstone.benchmark.recheck import grade_task
from grindstone.benchmark.starting import start_task
from grindstone.benchmark.task import Task
from grindstone.errors import Cause, InfrastructureError
from grindstone.files import write_atomic
from grindstone.masking import Mask
from grindstone.records import Verdict
from grindstone.sandbox.protocol import Sandbox, SandboxProvider
from grindstone.settings import ScoreMode
from grindstone.skills.literals import compared_values

ANSWERS = "answers"
"""The folder of a home that keys are kept in."""

PRINTED = "(printed)"
_VERSION = 1
_FILE_BYTES = 400_000
_TOTAL_BYTES = 12_000_000
_FILES = 1_500
_PRINTED_CHARS = 20_000
_LISTING_TIMEOUT_S = 120.0
_MARK = "/tmp/.grindstone-before"

# What package managers and the system write is no answer, and is too much to look through.
_SKIPPED = """
    /proc /sys /dev /run /usr /lib /lib32 /lib64 /bin /sbin /boot /etc /solution /tests /logs
    /var/lib /var/cache /var/log/apt /var/log/dpkg.log /var/log/bootstrap.log
    /var/log/alternatives.log /root/.cache /root/.npm /root/.local /opt/conda
"""
_SKIPPED_NAMES = "__pycache__ node_modules site-packages .venv venv .tox .cargo objects"


class AnswerKey(Frozen):
    """What is known of one task's right answer."""

    task_digest: str
    version: int = _VERSION
    answers: dict[str, str] = {}  # path, or PRINTED → what the solution left or added there
    inputs: dict[str, str] = {}  # path → text the agent finds
    compared: tuple[str, ...] = ()  # values the verifier's words show to be compared


async def answer_key(
    task: Task,
    provider: SandboxProvider,
    *,
    kept_in: Path | None = None,
    labels: Mapping[str, str] | None = None,
) -> AnswerKey:
    """Return what a task's right answer is; found on disk where it was found out before.

    Args:
        task: Whose answer. Without a solution only the tests' words are known.
        provider: Where solution and tests are run, each in a sandbox of its own.
        kept_in: Folder the keys are kept in; None keeps nothing.
        labels: For the sandboxes.

    Raises:
        InfrastructureError: The sandbox failed; a verifier that is broken is passed over.
    """
    path = kept_in / f"{task.digest}.json" if kept_in is not None else None
    if path is not None and (kept := await asyncio.to_thread(_kept, path)) is not None:
        return kept
    image = await provider.build(build_spec(task))
    sources = (_untouched, _solved) if task.has_solution else (_untouched,)
    # Side by side; all are waited for, so that no sandbox outlives the other's failure.
    asked = (source(task, image, provider, labels) for source in sources)
    found: list[AnswerKey] = []
    for part in await asyncio.gather(*asked, return_exceptions=True):
        if isinstance(part, BaseException):
            raise part
        found.append(part)
    compared = dict.fromkeys(value for part in found for value in part.compared)
    key = found[-1].model_copy(update={"compared": tuple(compared)})
    # What a solution prints may hold what was passed to it: no secret is kept, here or later.
    written = Mask.of(os.environ, passed_names(os.environ))(key.model_dump_json())
    if path is not None:
        await asyncio.to_thread(write_atomic, path, written)
    return AnswerKey.model_validate_json(written)


def _kept(path: Path) -> AnswerKey | None:
    try:
        key = AnswerKey.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None  # not found out yet, or by another version
    return key if key.version == _VERSION else None


async def _untouched(
    task: Task, image: str, provider: SandboxProvider, labels: Mapping[str, str] | None
) -> AnswerKey:
    sandbox = await start_task(task, provider, image, labels=labels)
    try:
        said = values_said(await _graded(task, sandbox, provider, labels))
    finally:
        await sandbox.close()
    return AnswerKey(task_digest=task.digest, compared=said)


async def _solved(
    task: Task, image: str, provider: SandboxProvider, labels: Mapping[str, str] | None
) -> AnswerKey:
    sandbox = await start_task(task, provider, image, labels=labels)
    try:
        before = await _texts(sandbox)
        await sandbox.exec(f": > {_MARK}; sleep 0.05", timeout_s=_LISTING_TIMEOUT_S)
        printed = await run_solution(task, sandbox)
        after = await _texts(sandbox, f"-cnewer {_MARK}")
        said = values_said(await _graded(task, sandbox, provider, labels))
    finally:
        await sandbox.close()
    answers = {
        path: _added(before.get(path, ""), text)
        for path, text in after.items()
        if before.get(path) != text and path != _MARK
    }
    # The first line is ours: how the script ended.
    answers[PRINTED] = printed.partition("\n")[2][-_PRINTED_CHARS:]
    return AnswerKey(
        task_digest=task.digest,
        answers={path: text for path, text in answers.items() if text.strip()},
        inputs={path: text for path, text in before.items() if not _is_hidden(path)},
        compared=said,
    )


async def _graded(
    task: Task, sandbox: Sandbox, provider: SandboxProvider, labels: Mapping[str, str] | None
) -> Verdict | None:
    try:
        return await grade_task(task, sandbox, provider, score_mode=ScoreMode.DUAL, labels=labels)
    except InfrastructureError as error:
        if error.cause in (Cause.VERIFIER_BROKEN, Cause.VERIFIER_TIMEOUT):
            return None
        raise


def values_said(verdict: Verdict | None) -> tuple[str, ...]:
    """Return the values that a verdict's words show to be compared."""
    if verdict is None:
        return ()
    texts = (verdict.output, *(test.message for test in verdict.tests))
    return tuple(dict.fromkeys(value for text in texts for value in compared_values(text)))


async def _texts(sandbox: Sandbox, which: str = "") -> dict[str, str]:
    """Return the text files of a sandbox by path, but for what its system is made of."""
    skipped = " -o ".join(
        [
            *(f"-path {path}" for path in _SKIPPED.split()),
            *(f"-name {name}" for name in _SKIPPED_NAMES.split()),
        ]
    )
    listed = await sandbox.exec(
        f"find / -xdev \\( {skipped} \\) -prune -o -type f -size -{_FILE_BYTES // 512} {which} "
        f"-print0 2>/dev/null | LC_ALL=C sort -z | {{ n=0; while [ $n -lt {_FILES} ] && "
        "IFS= read -r -d '' file; do n=$((n + 1)); "
        "printf '%s ' \"$(printf %s \"$file\" | base64 | tr -d '\\n')\"; "
        "base64 < \"$file\" 2>/dev/null | tr -d '\\n'; echo; done; }",
        timeout_s=_LISTING_TIMEOUT_S,
        cwd="/",
        max_output_bytes=_TOTAL_BYTES,
    )
    found: dict[str, str] = {}
    for line in listed.output.splitlines():
        name, _, content = line.partition(" ")
        try:
            path = base64.b64decode(name, validate=True).decode("utf-8", "replace")
            text = _text_of(base64.b64decode(content, validate=True))
        except (binascii.Error, ValueError):
            continue  # where the middle of a long listing was left out
        if path.startswith("/") and text is not None:
            found[path] = text
    return found


def _text_of(data: bytes) -> str | None:
    """Return the text a file holds, in whichever encoding; None where it holds none."""
    if data.startswith(b"\x1f\x8b"):
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as packed:
                data = packed.read(4 * _FILE_BYTES)
        except (OSError, EOFError):
            return None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _added(before: str, after: str) -> str:
    """Return the lines of a file that were not in it before; all of a new one."""
    known = set(before.splitlines())
    return "\n".join(line for line in after.splitlines() if line not in known)


def _is_hidden(path: str) -> bool:
    """Whether a file is a tool's own record, such as a repository's: nobody reads it there."""
    return any(part.startswith(".") for part in PurePosixPath(path).parts)
