"""Grading in a fresh sandbox, which gets the agent's files and nothing else of it.

What the agent did to interpreters, libraries or the system stays behind. Services it left
running do too: a task whose tests need one is graded in the agent's sandbox.

Regular files are carried over with their modes; links are not.
"""

import asyncio
import shlex
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from grindstone.benchmark.environment import verifier_build_spec, verifier_start_spec
from grindstone.benchmark.settling import grade_or_settle
from grindstone.benchmark.task import Artifact, Task
from grindstone.benchmark.verifier import TESTS, run_tests
from grindstone.errors import InputError
from grindstone.records import Verdict
from grindstone.sandbox.protocol import Provider, Sandbox
from grindstone.settings import ScoreMode

COLLECTED = "/logs/artifacts"
"""Carried over besides what the task declares, where the agent's sandbox has it."""

_SYSTEM = frozenset(
    f"/{name}"
    for name in (
        *("", "bin", "boot", "dev", "etc", "home", "lib", "lib64", "opt", "proc", "root"),
        *("run", "sbin", "srv", "sys", "tmp", "usr", "var"),
    )
)


async def grade_task(
    task: Task,
    sandbox: Sandbox,
    provider: Provider,
    *,
    score_mode: ScoreMode,
    labels: Mapping[str, str] | None = None,
) -> Verdict:
    """Grade the way the task asks for: in the agent's sandbox, or in a fresh one.

    Raises:
        InfrastructureError: As `grade_or_settle` and the provider.
        InputError: As `grade_separately`.
    """
    if task.separate_verifier:
        return await grade_separately(task, sandbox, provider, score_mode=score_mode, labels=labels)
    return await grade_or_settle(task, sandbox, provider, score_mode=score_mode, labels=labels)


async def grade_separately(
    task: Task,
    sandbox: Sandbox,
    provider: Provider,
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
        InfrastructureError: As `grade` and the provider.
        InputError: No artifacts are declared and the working folder is a system folder.
    """
    carried = _carried(task, sandbox.workdir)
    image = await provider.build(verifier_build_spec(task))
    with tempfile.TemporaryDirectory(prefix="grindstone-artifacts-") as folder:
        holds = Path(folder)
        fetched = [
            (artifact.target, kept)
            for index, artifact in enumerate(carried)
            if (kept := await _fetch(sandbox, artifact.source, holds / str(index))) is not None
        ]
        verifier = await provider.start(verifier_start_spec(task, image, labels=labels))
        try:
            for target, kept in fetched:
                await _lay(verifier, kept, target)
            own_tests = await verifier.read_file(f"{TESTS}/test.sh") is not None
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


def _carried(task: Task, workdir: str) -> tuple[Artifact, ...]:
    if task.artifacts:
        return (*task.artifacts, Artifact(source=COLLECTED))
    if str(PurePosixPath(workdir)) in _SYSTEM:
        raise InputError(
            f"{task.task_id}/task.toml: artifacts",
            f"none declared, and the working folder is {workdir}",
            "the paths a separate verifier is to get",
        )
    return (Artifact(source=workdir), Artifact(source=COLLECTED))


async def _fetch(sandbox: Sandbox, source: str, target: Path) -> Path | None:
    """Copy a file or folder to the host; None where the agent left neither."""
    quoted = shlex.quote(source)
    seen = await sandbox.exec(f"[ -d {quoted} ] && [ ! -L {quoted} ]", timeout_s=60)
    if seen.exit_code == 0:
        await asyncio.to_thread(target.mkdir)
        await sandbox.copy_out(source, target)
        return target
    content = await sandbox.read_file(source)
    if content is None:
        return None
    await asyncio.to_thread(target.write_bytes, content)
    return target


async def _lay(verifier: Sandbox, kept: Path, target: str) -> None:
    if not await asyncio.to_thread(kept.is_dir):
        content = await asyncio.to_thread(kept.read_bytes)
        await verifier.write_files({target: content}, mode=0o755)
        return
    if str(PurePosixPath(target)) not in _SYSTEM:
        # What the agent deleted must not come back from the image.
        quoted = shlex.quote(target)
        await verifier.exec(f"[ ! -d {quoted} ] || find {quoted} -mindepth 1 -delete", timeout_s=60)
    await verifier.copy_in(kept, target)
