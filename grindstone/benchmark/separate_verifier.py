"""Grading in a fresh sandbox, which gets the agent's files and nothing else of it.

What the agent did to interpreters, libraries or the system stays behind. Services it left
running do too: a task whose tests need one is graded in the agent's sandbox.

Folders and regular files are carried over with their modes; links are not.
"""

import asyncio
import shlex
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from posixpath import normpath

from grindstone.benchmark.environment import verifier_build_spec, verifier_start_spec
from grindstone.benchmark.task import Artifact, Task
from grindstone.benchmark.verifier import LOGS, TESTS, run_tests
from grindstone.errors import InputError
from grindstone.records import Verdict
from grindstone.sandbox.protocol import Sandbox, SandboxProvider
from grindstone.settings import ScoreMode

COLLECTED = "/logs/artifacts"
"""Carried over besides what the task declares, where the agent's sandbox has it."""

CARRIED_BYTES = 200_000_000
"""More than this in one folder is not carried, and the attempt is void."""

_SYSTEM = frozenset(
    f"/{name}"
    for name in (
        *("", "bin", "boot", "dev", "etc", "home", "lib", "lib64", "opt", "proc", "root"),
        *("run", "sbin", "srv", "sys", "tmp", "usr", "var"),
    )
)


async def grade_separately(
    task: Task,
    sandbox: Sandbox,
    provider: SandboxProvider,
    *,
    score_mode: ScoreMode,
    labels: Mapping[str, str] | None = None,
) -> Verdict:
    """Carry the agent's files to a fresh sandbox and run the tests there.

    The files are the task's `artifacts` or, where it declares none, its working folder.
    The tests start in the same working folder as they would have beside the agent.

    Args:
        task: Whose tests.
        sandbox: The agent's; only read from.
        provider: Builds and starts the verifier's sandbox, which is closed at the end.
        score_mode: Decides what counts as a pass.
        labels: For the verifier's sandbox.

    Raises:
        InfrastructureError: As `grade` and the provider; SANDBOX_IO where the agent's files
            cannot be carried.
        InputError: No artifacts are declared and the working folder is a system folder.
    """
    sources = carried(task, sandbox.workdir)
    if sources is None:
        raise InputError(
            f"{task.task_id}/task.toml: artifacts",
            f"none declared, and the working folder is {sandbox.workdir}",
            "the paths a separate verifier is to get",
        )
    image = await provider.build(verifier_build_spec(task))
    with tempfile.TemporaryDirectory(prefix="grindstone-artifacts-") as folder:
        holds = Path(folder)
        fetched = [
            (artifact.source, kept)
            for index, artifact in enumerate(sources)
            if (kept := await _fetch(sandbox, artifact, holds / str(index))) is not None
        ]
        verifier = await provider.start(verifier_start_spec(task, image, labels=labels))
        try:
            own_tests = await verifier.read_file(f"{TESTS}/test.sh") is not None
            for target, kept in fetched:
                await _lay(verifier, kept, target)
            # A verifier's own image may start elsewhere; the tests mean the agent's folder.
            there = await verifier.exec(f"[ -d {shlex.quote(sandbox.workdir)} ]", timeout_s=60)
            return await run_tests(
                task,
                verifier,
                tests_dir=None if own_tests else task.tests_dir,
                cwd=sandbox.workdir if there.exit_code == 0 else verifier.workdir,
                score_mode=score_mode,
            )
        finally:
            await verifier.close()


def carried(task: Task, workdir: str) -> tuple[Artifact, ...] | None:
    """Return what a fresh sandbox gets; None where nothing tells the agent's files apart.

    What lies where the tests are, or their verdict, is left there: it would be taken for theirs.
    """
    if task.artifacts:
        declared = tuple(each for each in task.artifacts if not _is_the_tests(each.source))
        return (*declared, Artifact(source=COLLECTED))
    if str(PurePosixPath(workdir)) in _SYSTEM or _is_the_tests(workdir):
        return None
    return (Artifact(source=workdir), Artifact(source=COLLECTED))


def _is_the_tests(path: str) -> bool:
    place = PurePosixPath(normpath("/" + path.lstrip("/")))
    return any(place.is_relative_to(own) for own in (TESTS, LOGS))


async def _fetch(sandbox: Sandbox, artifact: Artifact, target: Path) -> Path | None:
    """Copy a file or folder to the host; None where the agent left neither."""
    source, quoted = artifact.source, shlex.quote(artifact.source)
    seen = await sandbox.exec(f"[ -d {quoted} ] && [ ! -L {quoted} ]", timeout_s=60)
    if seen.exit_code == 0:
        await asyncio.to_thread(target.mkdir)
        await sandbox.copy_out(source, target, max_bytes=CARRIED_BYTES)
        if artifact.exclude:
            await asyncio.to_thread(_leave_out, target, artifact.exclude)
        return target
    content = await sandbox.read_file(source, max_bytes=CARRIED_BYTES)
    if content is None:
        return None
    await asyncio.to_thread(target.write_bytes, content)
    executable = await sandbox.exec(f"[ -x {quoted} ]", timeout_s=60)
    await asyncio.to_thread(target.chmod, 0o755 if executable.exit_code == 0 else 0o644)
    return target


def _leave_out(folder: Path, patterns: Sequence[str]) -> None:
    """Remove what tar's --exclude would leave out: a pattern fits from any folder on down."""
    for path in sorted(folder.rglob("*")):
        names = path.relative_to(folder).parts
        ends = ["/".join(names[start:]) for start in range(len(names))]
        if not any(fnmatchcase(end, pattern) for end in ends for pattern in patterns):
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


async def _lay(verifier: Sandbox, kept: Path, target: str) -> None:
    if not await asyncio.to_thread(kept.is_dir):
        content = await asyncio.to_thread(kept.read_bytes)
        mode = await asyncio.to_thread(lambda: kept.stat().st_mode & 0o777)
        await verifier.write_files({target: content}, mode=mode)
        return
    if str(PurePosixPath(target)) not in _SYSTEM:
        # What the agent deleted must not come back from the image.
        quoted = shlex.quote(target)
        await verifier.exec(f"[ ! -d {quoted} ] || find {quoted} -mindepth 1 -delete", timeout_s=60)
    await verifier.copy_in(kept, target)
