"""Is a task worth running? It is linted, built, solved by its solution, and left alone.

The solution must earn a full reward and doing nothing must not: a task that fails either
measures nothing. Each of the two gets a fresh sandbox.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

from pydantic import NonNegativeFloat

from grindstone.base import Frozen
from grindstone.benchmark.cheating import Cheat, try_cheating
from grindstone.benchmark.environment import build_spec
from grindstone.benchmark.linting import LintFinding, lint_task
from grindstone.benchmark.recheck import grade_task
from grindstone.benchmark.starting import start_task
from grindstone.benchmark.task import Task
from grindstone.benchmark.verifier import cap
from grindstone.boundary import step_boundary
from grindstone.errors import InfrastructureError, InputError, InternalError
from grindstone.records import Verdict
from grindstone.sandbox.protocol import Sandbox, SandboxProvider
from grindstone.settings import ScoreMode

SOLUTION = "/solution"
BROKE = "internal"
"""The rule of a finding that says that linting itself broke."""

StageName = Literal["build", "oracle", "nop", "cheats"]
StageStatus = Literal["ok", "failed", "error", "skipped"]
Solve = Callable[[Task, Sandbox], Awaitable[str]]
"""Does something in a sandbox as an agent would, and returns what it printed."""


class Stage(Frozen):
    """One thing that was tried."""

    name: StageName
    status: StageStatus  # error: it could not be found out
    detail: str = ""
    reward: float | None = None
    duration_s: NonNegativeFloat = 0.0
    internal: bool = False  # an error nobody foresaw kept it from being found out


class CheckReport(Frozen):
    """What came of checking one task."""

    task_id: str
    task_digest: str
    findings: tuple[LintFinding, ...]
    stages: tuple[Stage, ...]
    cheats: tuple[Cheat, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against the task: no error found, no stage failed, no way pays.

        A skipped stage speaks neither for nor against, and so does a way that no shared sandbox
        can close.
        """
        return (
            not any(finding.severity == "error" for finding in self.findings)
            and all(stage.status in ("ok", "skipped") for stage in self.stages)
            and not any(cheat.pays and not cheat.conceded for cheat in self.cheats)
        )

    @property
    def lost(self) -> tuple[str, ...]:
        """What errors nobody foresaw kept from being found out."""
        stages = (stage.detail for stage in self.stages if stage.internal)
        return (*stages, *(found.message for found in self.findings if found.rule == BROKE))

    def stage(self, name: StageName) -> Stage | None:
        """Return a stage by name."""
        return next((stage for stage in self.stages if stage.name == name), None)


async def check_task(
    task: Task,
    provider: SandboxProvider,
    *,
    score_mode: ScoreMode = ScoreMode.DUAL,
    oracle: Solve | None = None,
    nop: Solve | None = None,
    labels: Mapping[str, str] | None = None,
    cheat: bool = False,
) -> CheckReport:
    """Lint, build, solve with the solution, and leave alone.

    Args:
        task: What to check.
        provider: Where.
        score_mode: Decides what counts as a pass.
        oracle: Plays the solution; by default solution/solve.sh is run.
        nop: Plays an agent that does nothing; by default nothing is run.
        labels: For the sandboxes.
        cheat: Try the catalogue of ways to a reward that was not earned as well.

    Infrastructure errors end up in the report as stages with status "error".
    """
    findings = _lint(task)
    stages: list[Stage] = []
    began = time.monotonic()
    image = ""
    try:
        with step_boundary(f"build of {task.task_id}"):
            image = await provider.build(build_spec(task))
        stages.append(Stage(name="build", status="ok", duration_s=_since(began)))
    except (InfrastructureError, InputError) as error:
        stages.append(_error("build", error, began))
    trials: tuple[tuple[StageName, Solve], ...] = (
        ("oracle", oracle or run_solution),
        ("nop", nop or _do_nothing),
    )
    for name, solve in trials:
        if not image:
            stages.append(Stage(name=name, status="skipped", detail="there is no image"))
        elif name == "oracle" and oracle is None and not task.has_solution:
            stages.append(Stage(name=name, status="skipped", detail="the task has no solution"))
        else:
            stages.append(
                await _try(
                    name,
                    solve,
                    task,
                    image=image,
                    provider=provider,
                    score_mode=score_mode,
                    labels=labels,
                )
            )
    nothing = next((stage.reward for stage in stages if stage.name == "nop"), None)
    cheats: tuple[Cheat, ...] = ()
    if cheat and image:
        began = time.monotonic()
        try:
            with step_boundary(f"cheats at {task.task_id}"):
                cheats = await try_cheating(
                    task,
                    provider,
                    image,
                    honest_nothing=nothing or 0.0,
                    score_mode=score_mode,
                    labels=labels,
                )
        except (InfrastructureError, InputError) as error:
            stages.append(_error("cheats", error, began))
    return CheckReport(
        task_id=task.task_id,
        task_digest=task.digest,
        findings=findings,
        stages=tuple(stages),
        cheats=cheats,
    )


def _lint(task: Task) -> tuple[LintFinding, ...]:
    try:
        with step_boundary(f"lint of {task.task_id}"):
            return lint_task(task)
    except InternalError as error:
        remedy = "report it with the task's files"
        finding = LintFinding(
            severity="error", rule=BROKE, file="", message=str(error), remedy=remedy
        )
        return (finding,)


async def run_solution(task: Task, sandbox: Sandbox) -> str:
    """Run the task's solution in a sandbox and return what it printed."""
    await sandbox.copy_in(task.solution_dir, SOLUTION)
    ran = await sandbox.exec(
        f"bash {SOLUTION}/solve.sh",
        timeout_s=task.agent_timeout_s,
        cwd=sandbox.workdir,
        env=task.solution_env,
    )
    ended = "ran out of time" if ran.timed_out else f"ended with {ran.exit_code}"
    return f"solve.sh {ended}\n{ran.output}"


async def _do_nothing(_task: Task, _sandbox: Sandbox) -> str:
    return ""


async def _try(
    name: StageName,
    solve: Solve,
    task: Task,
    *,
    image: str,
    provider: SandboxProvider,
    score_mode: ScoreMode,
    labels: Mapping[str, str] | None,
) -> Stage:
    began = time.monotonic()
    try:
        with step_boundary(f"{name} at {task.task_id}"):
            sandbox = await start_task(task, provider, image, labels=labels)
            try:
                printed = await solve(task, sandbox)
                verdict = await grade_task(
                    task, sandbox, provider, score_mode=score_mode, labels=labels
                )
            finally:
                await sandbox.close()
    except (InfrastructureError, InputError) as error:
        return _error(name, error, began)
    wanted = name == "oracle"
    good = verdict.passed == wanted
    return Stage(
        name=name,
        status="ok" if good else "failed",
        detail="" if good else _why(verdict, printed, wanted=wanted),
        reward=verdict.reward,
        duration_s=_since(began),
    )


def _why(verdict: Verdict, printed: str, *, wanted: bool) -> str:
    if not wanted:
        return f"an agent that did nothing got reward {verdict.reward:g}"
    parts = [f"the solution got reward {verdict.reward:g}"]
    if printed:
        parts.append(cap(printed.strip(), 1_000))
    parts.append(f"the verifier's output ends:\n{verdict.output.strip()[-1_500:]}")
    return "\n".join(parts)


def _error(name: StageName, error: Exception, began: float) -> Stage:
    return Stage(
        name=name,
        status="error",
        detail=str(error),
        duration_s=_since(began),
        internal=isinstance(error, InternalError),
    )


def _since(began: float) -> float:
    return time.monotonic() - began
